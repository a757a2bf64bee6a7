"""The audit of several annotators: everybody's scores, the decision, the rows without one, and the report."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from sklearn import metrics

from remelt.audit import AuditOptions, Findings, audit, print_findings, print_summary
from remelt.audit.descriptions import OVERALL
from remelt.audit.figures import figure_bytes
from remelt.audit.panel import KEPT
from remelt.audit.panel_figure import panel_figure
from remelt.audit.panel_rows import rating_votes
from remelt.errors import InputError

from ..chromium import BROWSER, chromium
from .conftest import LABELS, write_out
from .panels import Said, decision, noisy_panel, write_panel
from .test_agreement import plain_fleiss

FILES = {
    "annotators.csv", "annotators_agreement.csv", "annotators_decisions.csv", "annotators_labels.csv",
    "annotators_pairs.csv", "annotators_spread.csv", "annotators_all.svg", "annotators_all.png",
}  # fmt: skip
ROWS, KINDS = noisy_panel(160, {"one": 0.7, "two": 0.5, "ann": 0.9})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sources, two splits; three votes decide by strict majority."""
    return write_panel(
        tmp_path_factory.mktemp("panel") / "out", {"train": ROWS[:120], "test": ROWS[120:]}, KINDS
    )


@pytest.fixture(scope="module")
def found(folder: Path) -> Findings:
    return audit(folder)


def kept_rows() -> list[tuple[str | None, Said, str]]:
    return [(o, said, label) for o, said in ROWS if (label := decision(said)[0]) is not None]


def test_every_source_is_scored_on_all_rows_with_votes(found: Findings) -> None:
    panel = found.panel
    assert panel is not None
    assert [(s.source.name, s.source.kind) for s in panel.sources] == [
        ("one", "model"), ("two", "model"), ("ann", "human"),
    ]  # fmt: skip
    for source in panel.sources:
        name = source.source.name
        pairs = [(o, said[name]) for o, said in ROWS if o is not None and said[name] is not None]
        truth, guess = zip(*pairs, strict=True)
        score = source.scores[OVERALL]
        assert score.rows == len(pairs)
        assert score.coverage == pytest.approx(len(pairs) / sum(o is not None for o, _ in ROWS), abs=1e-6)
        assert score.accuracy.value == pytest.approx(metrics.accuracy_score(truth, guess), abs=1e-6)
        uar = metrics.recall_score(truth, guess, average="macro", labels=sorted(set(truth)))
        assert score.uar.value == pytest.approx(uar, abs=1e-6)
        assert score.f1.value == pytest.approx(metrics.f1_score(truth, guess, average="macro"), abs=1e-6)
        assert score.kappa.value == pytest.approx(metrics.cohen_kappa_score(truth, guess), abs=1e-6)
        assert score.accuracy.low is not None
        assert score.accuracy.low < (score.accuracy.value or 0) < (score.accuracy.high or 0)
        assert source.votes == sum(said[name] is not None for _, said in ROWS)


def test_the_label_and_its_sources_on_the_same_rows(found: Findings) -> None:
    panel = found.panel
    assert panel is not None
    assert panel.scopes == (OVERALL, KEPT, "train", "test")
    kept = kept_rows()
    known = [(o, said, label) for o, said, label in kept if o is not None]
    right = sum(o == label for o, _, label in known) / len(known)
    for scope in (OVERALL, KEPT):
        assert panel.resolved[scope].rows == len(known)
        assert panel.resolved[scope].accuracy.value == pytest.approx(right, abs=1e-6)
    assert panel.resolved[KEPT].coverage == 1.0
    assert (panel.resolved[OVERALL].coverage or 1) < 1
    ann = panel.sources[2].scores[KEPT]
    assert ann.rows == len(known)
    assert ann.accuracy.value == pytest.approx(sum(o == s["ann"] for o, s, _ in known) / len(known), abs=1e-6)
    assert (
        sum(panel.sources[2].scores[s].rows for s in ("train", "test"))
        == panel.sources[2].scores[OVERALL].rows
    )


def test_rows_without_a_decision_stay_in_the_counts(found: Findings) -> None:
    panel = found.panel
    assert panel is not None
    left = len(ROWS) - len(kept_rows())
    assert left > 10
    assert (panel.kept.count, panel.kept.total) == (len(kept_rows()), 160)
    assert panel.unresolved == {"no_majority": left}
    assert panel.decided_by == {"majority": len(kept_rows())}
    assert any(f"On {left:,} of 160 rows the annotators came to no label" in c for c in found.caveats)
    assert not any("do not add up" in c for c in found.caveats)
    agreement = panel.agreement
    assert agreement is not None
    assert agreement.judged == 160
    units = [[label for label in said.values() if label is not None] for _, said in ROWS]
    assert agreement.coefficients["fleiss_kappa"].value == pytest.approx(plain_fleiss(units), abs=1e-6)
    assert agreement.pairs is not None
    assert agreement.pairs.raters == ("one", "two", "ann")


def test_guessing(found: Findings) -> None:
    assert found.panel is not None
    base = found.panel.baseline[OVERALL]
    originals = [o for o, _ in ROWS if o is not None]
    most = max(LABELS, key=originals.count)
    assert (base.rows, base.label, base.uar) == (len(originals), most, 0.2)
    assert base.accuracy == pytest.approx(originals.count(most) / len(originals), abs=1e-6)


def test_how_sure_the_votes_are(found: Findings) -> None:
    assert found.panel is not None
    spread = found.panel.share
    shares = [decision(said)[1] for _, said, _ in kept_rows()]
    assert spread.mean == pytest.approx(sum(shares) / len(shares), abs=1e-6)
    filled = {(b.low, b.high): b.rows for b in spread.bins if b.rows}
    assert filled == {
        (0.6, 0.7): sum(0.6 < s < 0.7 for s in shares),
        (0.9, 1.0): sum(s == 1 for s in shares),
    }
    assert sum(b.rows for b in found.panel.entropy.bins) == len(shares)
    certain = next(b for b in spread.bins if b.high == 1.0)
    agreed = [(o, label) for o, said, label in kept_rows() if decision(said)[1] == 1 and o is not None]
    assert (certain.same.count, certain.same.total) == (sum(o == s for o, s in agreed), len(agreed))


def test_files_and_keys(found: Findings, folder: Path) -> None:
    assert set(found.files) >= FILES
    assert all((folder / "audit" / name).stat().st_size for name in FILES)
    written = json.loads((folder / "audit" / "findings.json").read_text(encoding="utf-8"))["annotators"]
    assert list(written) == [
        "labels", "kept", "unresolved", "baseline", "resolved", "sources", "decided_by", "vote_share",
        "vote_entropy", "agreement", "ratings",
    ]  # fmt: skip
    assert written["ratings"] is None
    assert written["labels"] == list(LABELS)
    with (folder / "audit" / "annotators.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [r["source"] for r in rows if r["scope"] == OVERALL] == ["by chance", "one", "two", "ann", "label"]
    assert float(rows[1]["uar"]) == written["sources"][0]["scores"][OVERALL]["uar"]["value"]
    assert float(rows[0]["uar"]) == 0.2
    with (folder / "audit" / "annotators_pairs.csv").open(encoding="utf-8") as lines:
        assert len(list(csv.DictReader(lines))) == 3


def test_the_same_dataset_gives_the_same_files(found: Findings, folder: Path, tmp_path: Path) -> None:
    again = audit(folder, AuditOptions(to=tmp_path, figures=False))
    assert again.panel == found.panel
    names = [name for name in FILES if name.endswith(".csv")]
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / "audit" / name).read_bytes()
    assert found.panel is not None
    figure = panel_figure(found.panel)
    assert figure is not None
    assert figure_bytes(figure)["svg"] == (folder / "audit" / "annotators_all.svg").read_bytes()


def test_the_report_shows_them(found: Findings, folder: Path) -> None:
    page = (folder / "audit" / "report.html").read_text(encoding="utf-8")
    section = re.search(r'<section id="annotators">.*?</section>', page, re.S)
    assert section is not None
    for words in ("by guessing", "Cohen’s kappa of every two", "rows with a label", "Fleiss&#39; kappa"):
        assert words in section.group(0)
    assert page.count('<a href="#annotators">') == 1
    assert found.dataset["annotators"] == list(KINDS)
    assert f"annotated by <bdi>{next(iter(KINDS))} and {len(KINDS) - 1} others</bdi>" in page
    assert f'<dt>Annotators</dt><dd dir="auto">{", ".join(KINDS)}</dd>' in page
    assert '<th scope="col">unresolved</th>' in page
    assert found.panel is not None
    kappa = found.panel.sources[0].scores[OVERALL].kappa.value
    assert f"<td>{kappa:.3f}<br>" in section.group(0)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")
async def test_the_section_on_a_phone(found: Findings, tmp_path: Path) -> None:
    async with chromium(tmp_path / "profile") as browser:
        page = await browser.page()
        await page.screen(390, 844, phone=True)
        await page.open((found.folder / "report.html").as_uri())
        await page.until("document.readyState === 'complete'")
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        # No row of the coefficients is cut off, and no head of a table is stretched by one of its columns.
        hidden = "(e => e.scrollHeight - e.clientHeight)(document.querySelector('#annotators .card .scroll'))"
        assert await page.evaluate(hidden) <= 1
        head = "document.querySelector('#annotators thead').getBoundingClientRect().height"
        assert await page.evaluate(head) < 70


def test_the_console_shows_them(found: Findings) -> None:
    for show in (print_findings, print_summary):
        console = Console(width=160, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
        show(found, console)
        text = console.export_text()
        assert "Annotators against the original label" in text
        assert "without a label: no_majority" in text
        most, kept = text.split("Annotators against")[1].split("rows with a label", 1)
        assert found.panel is not None
        for part, scope in ((most, OVERALL), (kept, KEPT)):
            base = found.panel.baseline[scope]
            assert re.search(rf"by guessing +{base.rows} +{base.accuracy:.3f} +{base.uar:.3f}", part)
        assert re.search(r"ann +\d+ +100\.0 %", kept)


def test_names_are_not_cut_where_there_is_little_room(tmp_path: Path) -> None:
    names = [f"family/a-long-name-that-begins-like-the-others:seed={n}" for n in (1, 2)]
    rows: list[tuple[str | None, Said]] = [("joy", dict.fromkeys(names, "joy"))] * 6
    out = write_panel(tmp_path / "out", {"train": rows}, dict.fromkeys(names, "model"))
    found = audit(out, AuditOptions(figures=False))
    console = Console(width=80, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    print_summary(found, console)
    text = console.export_text()
    assert "…" not in text
    first = "".join(line[:40].strip() for line in text.split("annotator", 1)[1].splitlines())
    assert all(name in first for name in names)
    assert "No room for macro-F1" in text


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    name = "</style><script>alert(1)</script>"
    rows = [("joy", {name: "joy", "b": "joy"}), ("fear", {name: "fear", "b": "joy"})] * 4
    out = write_panel(tmp_path / "out", {"train": rows}, {name: "model", "b": "model"})
    found = audit(out, AuditOptions(figures=False))
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert name not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_dataset_of_one_annotator_shows_nothing_new(tmp_path: Path) -> None:
    rows = [
        {"id": f"s/train/dia0_utt{i}", "label": "joy", "original_label": "joy", "text": "x"} for i in range(4)
    ]
    found = audit(write_out(tmp_path / "out", {"train": rows}), AuditOptions(figures=False))
    assert found.panel is None
    assert "annotators" not in found.as_dict()
    assert "Annotators" not in (found.folder / "report.html").read_text(encoding="utf-8")
    assert not FILES & set(found.files)


def test_the_corpus_s_own_raters(tmp_path: Path) -> None:
    rows = [("joy", {"a": "joy", "b": "joy"})] * 3 + [("fear", {"a": "joy", "b": "joy"})]
    votes = {
        f"s/train/dia0_utt{i}": [(f"voice/{k}", label) for k, label in enumerate(labels, 1)]
        for i, labels in enumerate([("hap", "hap", "fea"), ("hap", "fea"), ("fea", "fea", "hap")])
    }
    out = write_panel(tmp_path / "out", {"train": rows}, {"a": "model", "b": "model"}, votes)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    (out / "manifest.json").write_text(
        json.dumps({**manifest, "corpus": {"name": "cremad"}}), encoding="utf-8"
    )
    panel = audit(out, AuditOptions(figures=False)).panel
    assert panel is not None
    ratings = panel.ratings
    assert ratings is not None
    assert (ratings.agreement.raters, ratings.agreement.votes, ratings.agreement.tied.count) == (None, 8, 1)
    assert (ratings.majority.rows, ratings.majority.accuracy.value) == (2, 0.5)
    assert (ratings.label.rows, ratings.label.accuracy.value) == (2, 0.5)


def test_who_has_a_name() -> None:
    def named(*raters: str) -> bool:
        texts = [("x", json.dumps([{"rater": r, "labels": ["a"]} for r in raters])), ("y", None)]
        found = rating_votes(texts, None)
        assert found is not None
        return found.named

    assert named("A-E1", "12")
    assert not named("voice/1", "voice/2")
    assert not named("ann", "")
    assert rating_votes([("x", None), ("y", json.dumps([{"rater": "a", "labels": []}]))], None) is None


def test_votes_that_are_none(tmp_path: Path) -> None:
    out = write_panel(tmp_path / "out", {"train": [("joy", {"a": "joy"})]}, {"a": "model"})
    path = out / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("votes")
    pq.write_table(table.set_column(place, "votes", pa.array([["joy"]])), path)
    with pytest.raises(
        InputError, match=r"Bad column 'votes' of type list.*expected lists of source, kind, label"
    ):
        audit(out, AuditOptions(figures=False))


def test_a_source_twice_in_a_row_is_refused(tmp_path: Path) -> None:
    out = write_panel(tmp_path / "out", {"train": [("joy", {"a": "joy"})]}, {"a": "model"})
    path = out / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("votes")
    vote: dict[str, Any] = {"source": "a", "kind": "model", "label": "joy"}
    twice = pa.array([[vote, vote]], table.schema.field("votes").type)
    pq.write_table(table.set_column(place, "votes", twice), path)
    with pytest.raises(InputError, match="Rater 'a' has two labels for 's/train/dia0_utt0'"):
        audit(out, AuditOptions(figures=False))


def test_nobody_decided_anything(tmp_path: Path) -> None:
    rows: list[tuple[str | None, Said]] = [("joy", {"a": "joy", "b": "fear"})] * 3
    out = write_panel(tmp_path / "out", {"train": rows}, {"a": "model", "b": "model"})
    panel = audit(out, AuditOptions(figures=False)).panel
    assert panel is not None
    assert panel_figure(panel) is not None
    assert (panel.kept.count, panel.resolved[OVERALL].rows, panel.resolved[OVERALL].uar.value) == (0, 0, None)
    assert [s.scores[OVERALL].rows for s in panel.sources] == [3, 3]
    assert panel.share.bins == ()
