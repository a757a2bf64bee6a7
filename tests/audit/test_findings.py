"""The numbers of a whole audit: on real data, and where labels are missing, constant or one-sided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remelt.audit import audit
from remelt.audit.build_info import read_build
from remelt.audit.dataset import read_table
from remelt.audit.findings import Findings, find
from remelt.audit.options import AuditOptions
from remelt.audit.reference import published
from remelt.errors import InputError

QUICK = AuditOptions(figures=False)


def findings_of(out: Path) -> Findings:
    return find(read_table(out), read_build(out), QUICK, out / "audit")


def row(i: int, before: str | None, after: str | None, **more: object) -> dict[str, object]:
    return {"id": f"s/train/dia0_utt{i}", "speaker": "A", "text": "one two three", "original_label": before,
            "label": after, **more}  # fmt: skip


def test_meld_with_the_published_labels(meld_folder: Path) -> None:
    found = findings_of(meld_folder)
    train = found.splits["train"]
    assert train.matrix.counts[0].tolist() == [289, 111, 62, 116, 113, 29, 132]
    assert train.matrix.counts[5].tolist() == [31, 51, 43, 46, 136, 188, 75]
    assert (train.change.count, train.change.total) == (3261, 7024)
    assert f"{train.kappa:.3f}" == "0.392"
    assert f"{train.entropy_before:.2f} {train.entropy_after:.2f}" == "2.28 2.44"
    assert (train.rows, train.speakers, f"{train.mean_seconds:.2f}") == (7024, 42, "3.68")
    rates = [g.change.rate for g in train.groups["duration"]]
    assert rates == sorted(rates), "longer rows change more"
    assert f"{rates[-1]:.2f}" == "0.55"
    assert found.reference is not None
    assert found.reference.summary == {"same": 21, "recomputed": 0, "differs": 0, "missing": 0}
    assert sum(g.change.total for g in train.groups["speaker"]) == 7024


def test_without_dropped_rows_the_corpus_cannot_be_compared(make_out) -> None:
    out = make_out({"train": [row(0, "joy", "joy")]}, corpus={"name": "meld"})
    for path in (out / "dropped").iterdir():
        path.unlink()
    (out / "dropped").rmdir()
    reference = findings_of(out).reference
    assert reference is not None
    verdicts = {(c.side, c.quantity): c.verdict for c in reference.comparisons}
    assert verdicts["meld", "utterances"] == "missing"
    assert verdicts["melt", "utterances"] == "differs"


def test_the_published_columns_add_up_and_corrections_are_recognised(make_out) -> None:
    test = next(t for t in published()["tables"] if t["name"] == "Table 2" and t["split"] == "test")
    labels = [label for label in test["melt"] if label != "change_percent"]
    assert sum(test["melt"][k]["published"] for k in labels) == 1797
    assert sum(test["meld"][k]["published"] for k in labels) == 1797
    after = [
        k for k in labels for _ in range(test["melt"][k].get("recomputed", [test["melt"][k]["published"]])[0])
    ]
    before = [
        k
        for k in labels
        for _ in range(test["meld"][k].get("recomputed", [test["meld"][k]["published"]])[-1])
    ]
    assert len(after) == len(before) == 1791
    rows = [row(i, b, a) for i, (b, a) in enumerate(zip(before, after, strict=True))]
    reference = findings_of(make_out({"test": rows}, corpus={"name": "meld"})).reference
    assert reference is not None
    cells = {(c.side, c.quantity): c for c in reference.comparisons if c.table == "Table 2"}
    wanted = {
        (s, k): "recomputed" if "recomputed" in test[s][k] else "same"
        for s in ("melt", "meld")
        for k in labels
    }
    assert {key: cells[key].verdict for key in wanted} == wanted
    assert cells["melt", "anger"].difference == -1
    assert cells["melt", "change_percent"].verdict == "differs"
    assert {c.verdict for c in reference.comparisons if c.quantity == "utterances" and c.side == "melt"} == {
        "recomputed"
    }


def test_other_recipes_and_corpora_have_no_published_values(make_out) -> None:
    assert findings_of(make_out({"train": [row(0, "joy", "joy")]})).reference is None


def test_missing_one_sided_and_empty(make_out) -> None:
    rows = [
        row(0, None, "joy"),
        row(1, "fear", None),
        row(2, None, None),
        row(3, "fear", "joy"),
        row(4, "fear", "joy"),
    ]
    found = findings_of(make_out({"train": rows, "dev": []}))
    overall = found.overall
    assert (overall.rows, overall.matrix.total, overall.missing_before, overall.missing_after) == (5, 2, 2, 2)
    assert (overall.only_before, overall.only_after) == (("fear",), ("joy",))
    assert found.splits["dev"].rows == 0
    assert found.splits["dev"].kappa is None
    said = "\n".join(found.caveats)
    assert "The split dev has no rows." in said
    assert "3 of 5 rows lack a label" in said
    assert "Only before: fear." in said
    json.dumps(found.as_dict(), allow_nan=False)


def test_constant_labels(make_out) -> None:
    found = findings_of(make_out({"train": [row(i, "joy", "joy") for i in range(3)]}))
    assert found.overall.kappa is None
    assert found.as_dict()["overall"]["kappa"] is None
    assert any("kappa is undefined" in c for c in found.caveats)


def test_no_label_at_all(make_out) -> None:
    found = audit(make_out({"train": [row(0, None, "joy")], "test": []}))
    assert found.overall.change.rate is None
    assert any("nothing to compare" in c for c in found.caveats)


def test_an_empty_dataset(make_out) -> None:
    found = audit(make_out({"train": []}))
    assert found.overall.rows == 0


def test_counts_that_do_not_add_up_are_said(make_out) -> None:
    dropped = [
        {"id": "s/train/x", "split": "train", "stage": "selection", "reasons": ["words"], "details": ["few"]}
    ]
    counts = {"train": {"input": 3, "kept": 1, "dropped": 1, "quarantined": 1}}
    rows = {"train": [row(0, "joy", "joy")]}
    found = findings_of(make_out(rows, dropped=dropped, counts=counts))
    said = [c for c in found.caveats if c.startswith("Counts do not add up")]
    assert len(said) == 2
    assert "3 input rows in train, the folder holds 2" in "\n".join(said)
    assert "1 quarantined rows in train, the folder holds 0" in "\n".join(said)
    counts["train"].update(input=2, quarantined=0)
    good = findings_of(make_out(rows, "good", dropped=dropped, counts=counts))
    assert not [c for c in good.caveats if c.startswith("Counts")]
    assert good.build is not None
    assert good.build["dropped"] == {"train": {"selection": {"rows": 1, "reasons": {"words": 1}}}}


def test_character_flags_and_replies(make_out) -> None:
    rows = [
        row(i, "joy", "joy", character_match=i > 0, flags=["character_mismatch"] if i == 0 else [])
        for i in range(4)
    ]
    replies = [
        {
            "id": "s/train/dia0_utt0",
            "status": "invalid",
            "attempt": 0,
            "cost": 0.5,
            "input_tokens": 3,
            "model": "m",
        },
        {
            "id": "s/train/dia0_utt0",
            "status": "valid",
            "attempt": 1,
            "cost": 0.25,
            "input_tokens": 4,
            "model": "m",
        },
    ]
    found = findings_of(make_out({"train": rows}, replies=replies))
    assert (found.overall.character_mismatch.count, found.overall.character_mismatch.total) == (1, 4)
    assert found.overall.flags == {"character_mismatch": 1}
    assert found.build is not None
    expected = {
        "total": 2,
        "valid": 1,
        "invalid": 1,
        "repair_turns": 1,
        "input_tokens": 7,
        "cost": 0.75,
        "models": {"m": 2},
    }
    assert {k: found.build["replies"][k] for k in expected} == expected


def test_repaired_text_is_what_is_counted(make_out) -> None:
    found = findings_of(
        make_out({"train": [row(0, "joy", "joy", text="aâb", text_repaired="one two three four")]})
    )
    filled = [g.value for g in found.overall.groups["words"] if g.change.total]
    assert filled == ["3 to 5 words"]


@pytest.mark.parametrize("broken", ["{", "[]", '{"no": "recipe"}'])
def test_a_foreign_manifest(make_out, broken: str) -> None:
    out = make_out({"train": [row(0, "joy", "joy")]})
    (out / "manifest.json").write_text(broken, encoding="utf-8")
    if broken == "{":
        with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
            read_build(out)
    else:
        assert read_build(out) is None
        assert findings_of(out).dataset["kind"] == "table"
