"""The page: safe with any text, self-contained, and honest about what it leaves out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import wave
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from remelt.audit import AuditOptions, audit
from remelt.audit.clips import Wanted, find_clips
from remelt.audit.dataset import read_table
from remelt.audit.report_data import choose_rows

from .conftest import write_out

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <img src=x onerror=alert(1)>",
    "\"quotes\" 'and' `ticks` & &amp;",
    "\u202eright to left\u202c שלום \u2028line",
    "{{ 7 * 7 }} {% raw %}",
    "nul \x00 and bell \x07",
]


class Page(HTMLParser):
    """Collects elements with their attributes, and the text of the data element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self.text = text
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id") == "data"

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(out: Path, **options: Any) -> tuple[Page, dict[str, Any]]:
    found = audit(out, AuditOptions(figures=False, **options))
    page = Page((found.folder / "report.html").read_text(encoding="utf-8"))
    return page, json.loads(page.data)


def rows_of(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"s/train/dia0_utt{i}", "speaker": "Ann", "text": f"line {i}", "original_label": "joy",
         "label": "joy" if i % 3 else "anger", "duration": 2.0, **more}
        for i in range(count)
    ]  # fmt: skip


def value(column: dict[str, Any], i: int) -> Any:
    return column["v"][i] if "v" in column else column["d"][column["c"][i]]


def test_hostile_text_stays_text(make_out) -> None:
    rows = [
        {**row, "text": text, "speaker": text, "context": text, "flags": [text], "id": text}
        for row, text in zip(rows_of(len(HOSTILE)), HOSTILE, strict=True)
    ]
    dropped = [
        {"id": f"d/train/{i}", "split": "train", "stage": "annotation", "reasons": [text], "details": [text],
         "speaker": text, "text": text, "original_label": text}
        for i, text in enumerate(HOSTILE)
    ]  # fmt: skip
    replies = [
        {"id": f"d/train/{i}", "status": "invalid", "attempt": 0, "raw": text, "problems": [text]}
        for i, text in enumerate(HOSTILE)
    ]
    more = {"annotator": {"name": HOSTILE[0], "notices": [HOSTILE[1]]}, "prompt": {"text": HOSTILE[4]},
            "attrition": [{"rule": HOSTILE[0], "split": HOSTILE[1]}], "notes": [HOSTILE[2]]}  # fmt: skip
    page, data = page_of(make_out({"train": rows}, dropped=dropped, replies=replies, **more))
    assert len(page.all("script")) == 2
    assert not page.all("img")
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert "49" not in [v for _, v in re.findall(r"<(dd|li)[^>]*>([^<]*)<", page.text)]
    for i, text in enumerate(HOSTILE):
        assert value(data["rows"]["text"], i) == text
        assert value(data["rows"]["speaker"], i) == text
        assert data["dropped"]["replies"][str(i)][0][2] == text
    assert "\u2028" not in page.data


def test_self_contained_with_a_policy_that_fits_its_script(make_out) -> None:
    page, _ = page_of(make_out({"train": rows_of(3)}))
    assert not page.all("link")
    assert not [s for s in page.all("script") if "src" in s]
    assert not re.findall(r"url\(|@import|https?://", page.text)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = re.findall(r"<script>(.*?)</script>", page.text, re.S)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_matrix_reads_without_script_and_by_keyboard(make_out) -> None:
    page, data = page_of(make_out({"train": rows_of(9), "test": []}))
    cells = [c for c in page.all("td") if c.get("role") == "gridcell"]
    assert len(cells) == 8 * 8
    assert [c["tabindex"] for c in cells].count("0") == 1
    assert {"role": "grid", "class": "matrix"}.items() <= next(
        t for t in page.all("table") if t.get("class") == "matrix"
    ).items()
    assert data["counts"]["all"][3] == [3, 0, 0, 6, 0, 0, 0]
    assert data["counts"]["splits"][1][3] == [0] * 7
    assert re.search(r'data-r="3" data-c="0"[^>]*>3</td>', page.text)


def test_the_rows_of_a_big_dataset_are_spread_over_all_cells(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    rows = ["a,a"] * 900 + ["a,b"] * 90 + ["b,a"] * 5
    path.write_text("label,original_label\n" + "\n".join(rows), encoding="utf-8")
    table = read_table(path)
    chosen = choose_rows(table, 100)
    assert len(chosen) <= 100
    cells = [(table.before[i], table.after[i]) for i in chosen]
    assert {cell: cells.count(cell) for cell in set(cells)} == {(0, 0): 47, (1, 0): 47, (0, 1): 5}
    assert chosen == sorted(set(chosen))
    assert max(i for i in chosen if i < 900) > 850, "not only the first rows"
    page, data = page_of(path, report_rows=100)
    assert "This page carries 99 of 995 rows" in page.text
    assert data["complete"] is False
    assert sum(map(sum, data["counts"]["all"])) == 995


def clip(path: Path, seconds: float = 0.1) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\x00\x00" * int(16000 * seconds))
    return path.stat().st_size


def with_clips(make_out, corpus: Path, clips: list[str | None]) -> Path:
    rows = [{**row, "clip": name} for row, name in zip(rows_of(len(clips)), clips, strict=True)]
    out: Path = make_out({"train": rows})
    (out / ".remelt").mkdir()
    (out / ".remelt" / "local.json").write_text(json.dumps({"corpus_folder": str(corpus)}), encoding="utf-8")
    return out


def test_clips_are_embedded_until_the_limit_then_linked(make_out, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    size = clip(corpus / "a.wav")
    clip(corpus / "sub dir" / "b#1.wav")
    out = with_clips(make_out, corpus, ["a.wav", "sub dir/b#1.wav", "gone.wav", None, "../secret.wav"])
    clip(tmp_path / "secret.wav")
    page, data = page_of(out)
    assert set(data["audio"]) == {"0", "1"}
    assert base64.b64decode(data["audio"]["0"].split(",")[1]) == (corpus / "a.wav").read_bytes()
    assert "2 clips were not found" in page.text
    page, data = page_of(out, audio_bytes=size)
    assert (set(data["audio"]), data["links"]) == ({"0"}, {"1": "../../corpus/sub%20dir/b%231.wav"})
    page, data = page_of(out, audio_bytes=0)
    assert (data["audio"], data["links"]) == ({}, {})


@pytest.mark.parametrize(
    "content", ['{"corpus_folder": "/nowhere/at/all"}', "{", "[]", '{"corpus_folder": 3}']
)
def test_a_corpus_folder_that_is_gone_is_only_said(make_out, tmp_path: Path, content: str) -> None:
    out = with_clips(make_out, tmp_path, ["a.wav"])
    (out / ".remelt" / "local.json").write_text(content, encoding="utf-8")
    page, data = page_of(out)
    assert data["audio"] == {}
    assert "The corpus folder is not at hand" in page.text
    assert "/nowhere" not in page.text


def test_how_it_was_made_and_what_was_left_out(make_out) -> None:
    dropped = [
        {"id": f"s/train/x{i}", "split": "train", "stage": "selection", "reasons": ["words", "speaker"],
         "details": ["2 words", "no name"], "speaker": "Guy", "text": "Hey"}
        for i in range(2)
    ]  # fmt: skip
    out = make_out(
        {"train": rows_of(2)}, dropped=dropped, corpus={"name": "sample", "licence": "CC0-1.0"},
        annotator={"name": "openai/x", "parameters": {"temperature": 1.0}, "retires": "2027-01-14"},
        prompt={"name": "melt", "version": "1", "sha256": "ab12", "text": "Say <what> you hear"},
        counts={"train": {"input": 4, "kept": 2, "dropped": 2, "quarantined": 0}},
        attrition=[{"rule": "words", "split": "train", "alone": 2, "in_order": 2, "left": 2}],
        replies=[{"id": "s/train/dia0_utt0", "status": "valid", "attempt": 0, "cost": 0.125}],
    )  # fmt: skip
    page, data = page_of(out)
    for expected in ("openai/x", "2027-01-14", "ab12", "Say &lt;what&gt; you hear", "$0.1250", "CC0-1.0"):
        assert expected in page.text
    assert [b["data-reason"] for b in page.all("button") if b.get("class") == "reason"] == [
        "speaker",
        "words",
    ]
    assert data["dropped"]["total"] == 2


def test_the_real_corpus_fits_into_four_megabytes(meld_folder: Path) -> None:
    page, data = page_of(meld_folder)
    assert len(data["rows"]["id"]) == 7024
    assert data["complete"] is True
    assert len(page.text.encode()) < 2_000_000, "without descriptions half of the limit has to be enough"
    assert "21 as published" in page.text


def test_a_page_without_sound_promises_none_where_there_is_none(tmp_path: Path) -> None:
    row = {"id": "s/train/dia0_utt0", "label": "joy", "original_label": "joy", "text": "x"}
    out = write_out(tmp_path / "out", {"train": [row]})
    wanted = [Wanted(0, "s/train/dia0_utt0", 0, "a.wav")]
    assert find_clips(wanted, out, out, 0).notices == []
    (out / ".remelt").mkdir()
    (out / ".remelt" / "local.json").write_text(f'{{"corpus_folder": "{tmp_path.as_posix()}"}}', "utf-8")
    assert "made without sound" in find_clips(wanted, out, out, 0).notices[0]
