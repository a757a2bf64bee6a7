"""`remelt agreement` on datasets, corpora and tables, and on CREMA-D's real votes against plain Python."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from remelt.audit.agreement import AgreementOptions
from remelt.cli import app
from remelt.errors import InputError
from remelt.recipes.agreement import TableColumns, measure_agreement

from ..audit.panels import decision, noisy_panel, write_panel
from ..corpora.test_cremad import RESPONSES, VOTES, make
from ..corpora.test_iemocap import release

QUICK = AgreementOptions(resamples=20, splits=2, least_common=1)
ROWS = [
    ("a", "joy", "joy", "fear"), ("b", "fear", "Fear ", "fear"), ("c", "joy", "", "joy"),
    ("d", "anger", "joy", "fear"), ("e", "joy", "joy", "joy"),
]  # fmt: skip


def wide(path: Path) -> Path:
    lines = ["id,ann,bob,cem,original_label", *(f"{','.join(row)},joy" for row in ROWS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def long(path: Path, names: tuple[str, str, str] = ("id", "rater", "label")) -> Path:
    votes = [
        dict(zip(names, (row[0], rater, label), strict=True))
        for row in ROWS
        for rater, label in zip(("ann", "bob", "cem"), row[1:], strict=True)
    ]
    path.write_text("".join(json.dumps(vote) + "\n" for vote in votes), encoding="utf-8")
    return path


def test_wide_and_long_tables_say_the_same(tmp_path: Path) -> None:
    columns = TableColumns(wide=("ann", "bob", "cem"))
    one = measure_agreement(wide(tmp_path / "wide.csv"), QUICK, columns=columns)
    two = measure_agreement(long(tmp_path / "long.jsonl"), QUICK)
    other = long(tmp_path / "other.jsonl", ("clip", "who", "what"))
    three = measure_agreement(other, QUICK, columns=TableColumns(long=("clip", "who", "what")))
    assert (one.kind, one.name) == ("table", "wide.csv")
    assert one.groups["votes"].agreement.coefficients == two.groups["votes"].agreement.coefficients
    assert two.groups["votes"].agreement.as_dict() == three.groups["votes"].agreement.as_dict()
    found = one.groups["votes"]
    assert found.agreement.labels == ("anger", "fear", "joy")
    assert (found.agreement.votes, found.agreement.raters, found.agreement.usable) == (14, 3, 5)
    assert (found.agreement.tied.count, found.strict.count) == (1, 4)
    change = found.change
    assert change is not None
    assert (change.total, change.change.count) == (4, 1)
    assert two.groups["votes"].change is None


def test_numbers_in_an_order(tmp_path: Path) -> None:
    path = tmp_path / "scale.csv"
    path.write_text("a,b\n1,1\n2,3\n10,10\n3,2\n1,2\n", encoding="utf-8")
    options = AgreementOptions(resamples=0, splits=1, least_common=1, order=("1", "2", "3", "10"))
    found = measure_agreement(path, options, columns=TableColumns(wide=("a", "b"))).groups["votes"].agreement
    assert found.labels == ("1", "2", "3", "10")
    ordinal, nominal = (
        found.coefficients[k].value for k in ("krippendorff_alpha_ordinal", "krippendorff_alpha")
    )
    assert (ordinal or 0) > (nominal or 0)
    assert found.pairs is not None
    assert found.pairs.compared[0].weighted is not None


def test_a_dataset_with_votes_counts_what_got_no_label(tmp_path: Path) -> None:
    rows, kinds = noisy_panel(60, {"one": 0.6, "two": 0.6, "ann": 0.8})
    out = write_panel(tmp_path / "out", {"train": rows}, kinds)
    report = measure_agreement(out, QUICK)
    found = report.groups["votes"]
    assert (report.kind, report.name, found.agreement.judged) == ("dataset", "sample", 60)
    assert found.agreement.pairs is not None
    assert found.agreement.pairs.raters == ("one", "two", "ann")
    assert found.change is not None
    left = sum(decision(said)[0] is None for _, said in rows)
    assert left > 3
    assert report.notes == (f"{left:,} items are rows that got no label.",)


def test_a_corpus_with_names(tmp_path: Path) -> None:
    folder = make(tmp_path / "x", finishedResponses=RESPONSES, tabulatedVotes=VOTES)
    report = measure_agreement(folder, QUICK)
    assert (report.kind, report.name, list(report.groups)) == (
        "corpus",
        "cremad",
        ["voice", "face", "audiovisual"],
    )
    voice, both = report.groups["voice"].agreement, report.groups["audiovisual"].agreement
    assert (voice.raters, voice.votes, both.raters, both.votes) == (2, 2, None, 5)
    assert any("Nobody's name is known for audiovisual:" in note for note in report.notes)
    assert list(measure_agreement(folder, QUICK, by=("face",)).groups) == ["face"]
    with pytest.raises(InputError, match=r"Bad way of judging 'ears', expected one of \['voice', 'face'"):
        measure_agreement(folder, QUICK, by=("ears",))


def test_the_first_of_several_labels_counts(tmp_path: Path) -> None:
    report = measure_agreement(release(tmp_path), QUICK)
    found = report.groups["ratings"]
    assert (report.name, found.agreement.judged, found.agreement.usable) == ("iemocap", 5, 2)
    assert "3 ratings have several labels; the first one counts." in report.notes
    first = [votes for votes in found.agreement.by_label if votes.votes]
    assert {label.label: label.votes for label in first} == {"exc": 1, "neu": 4, "oth": 1}
    assert found.agreement.raters == 6


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (TableColumns(), r"does not say where its labels are: .*--label-columns a,b,c.*\['id', 'ann', 'bob'"),
        (TableColumns(wide=("ann", "dan")), r"Bad column 'dan', expected one of \['id', 'ann'"),
        (TableColumns(wide=("ann", "bob"), original="x"), "Bad column 'x'"),
        (TableColumns(wide=("ann", "bob"), item="ann"), "Rater 'ann' has two labels for 'joy'"),
    ],
)
def test_what_a_table_lacks(tmp_path: Path, columns: TableColumns, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure_agreement(wide(tmp_path / "wide.csv"), QUICK, columns=columns)


def test_columns_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="exclude each other"):
        TableColumns(wide=("a", "b"), long=("a", "b", "c"))
    with pytest.raises(InputError, match=r"Bad columns \['a', 'b'\], expected three"):
        TableColumns(long=("a", "b"))
    with pytest.raises(InputError, match=r"Bad columns \['id', 'label', 'label'\], expected three different"):
        TableColumns(long=("id", "label", "label"))
    with pytest.raises(InputError, match=r"Bad label columns \['a', 'a'\]"):
        TableColumns(wide=("a", "a"))


def test_few_items_give_notes_and_no_intervals(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    rows = ["id,rater,label", "1,a,x", "1,b,y", "2,a,x", "2,b,x", "3,c,y", "3,b,y"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    report = measure_agreement(path, AgreementOptions(least_common=2))
    found = report.groups["votes"].agreement
    kappa = found.coefficients["fleiss_kappa"]
    assert (kappa.value, kappa.low, kappa.high) == (pytest.approx(1 / 3, abs=1e-6), None, None)
    assert report.notes == (
        "votes: intervals need 5 items with two votes or more, there are 3.",
        "votes: 1 of 2 pairs of raters share fewer than 2 items and are not compared (--least-common sets "
        "the number).",
    )
    assert measure_agreement(path, AgreementOptions(least_common=1, resamples=0)).notes == ()


def test_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The corpus sample in sample has no ratings of single people"):
        measure_agreement(Path("sample"), QUICK)
    out = write_panel(tmp_path / "out", {"train": [("joy", {"a": "joy"})]}, {"a": "model"})
    (out / "data" / "train-00000-of-00001.parquet").rename(tmp_path / "old.parquet")
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "old.parquet").drop_columns(["votes"])
    pq.write_table(table, out / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(InputError, match="has neither votes of several annotators nor ratings"):
        measure_agreement(out, QUICK)


def test_the_command(tmp_path: Path) -> None:
    path = wide(tmp_path / "wide.csv")
    options = ["--label-columns", "ann,bob,cem", "--resamples", "20", "--splits", "2", "--least-common", "1"]
    result = CliRunner().invoke(app, ["agreement", str(path), *options, "--json", str(tmp_path / "x.json")])
    assert result.exit_code == 0, result.output
    for words in ("Krippendorff's alpha", "Per label, votes", "Cohen's kappa of every two", "leave one out"):
        assert words in result.output
    assert "25.00 % (1 of 4)" in result.output
    written = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert list(written) == ["format", "kind", "name", "groups", "notes"]
    printed = CliRunner().invoke(app, ["agreement", str(path), *options, "--json", "-"])
    assert json.loads(printed.output) == written
    assert written["groups"]["votes"]["change"]["matrix"]["labels"] == ["anger", "fear", "joy"]
    reseeded = CliRunner().invoke(app, ["agreement", str(path), *options, "--seed", "5", "--json", "-"])
    assert json.loads(reseeded.output) != written
    bad = CliRunner().invoke(app, ["agreement", str(path), *options, "--ordinal", "joy,fear"])
    assert isinstance(bad.exception, InputError)
    assert "Bad label 'anger'" in str(bad.exception)


def plain_numbers(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Number 1 of CREMA-D from the CSV's rows of one way of judging, without any library."""
    letters = "ADFHNS"
    ties = changed = 0
    shares, pairs_same, expected = [], 0.0, 0.0
    matrix: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for row in rows:
        votes = [letter for letter in letters for _ in range(int(row[letter]))]
        n = len(votes)
        totals.update(votes)
        same = sum(a == b for a, b in itertools.permutations(votes, 2))
        shares.append(same / (n * (n - 1)))
        pairs_same += (n * (n - 1) - same) / (n - 1)
        most = max(votes.count(letter) for letter in letters)
        leading = [letter for letter in letters if votes.count(letter) == most]
        acted = row["fileName"].split("_")[2][0]
        if len(leading) > 1:
            ties += 1
        else:
            matrix[acted, leading[0]] += 1
            changed += acted != leading[0]
    votes_given = sum(totals.values())
    chance = sum((n / votes_given) ** 2 for n in totals.values())
    observed = sum(shares) / len(shares)
    expected = 1 - sum(n * (n - 1) for n in totals.values()) / (votes_given * (votes_given - 1))
    return {
        "votes": votes_given, "ties": ties, "changed": changed, "matrix": matrix, "percent": observed,
        "fleiss": (observed - chance) / (1 - chance), "alpha": 1 - pairs_same / votes_given / expected,
    }  # fmt: skip


def test_cremad_s_real_votes_equal_plain_python(test_data: Path) -> None:
    folder = test_data / "cremad"
    if not folder.is_dir():
        pytest.skip(f"no CREMA-D tables at {folder}")
    with (folder / "tabulatedVotes_actors_1001-1010.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    report = measure_agreement(folder, AgreementOptions(resamples=200, splits=5))
    letters = {"ang": "A", "dis": "D", "fea": "F", "hap": "H", "neu": "N", "sad": "S"}
    for digit, mode in (("1", "voice"), ("2", "face"), ("3", "audiovisual")):
        plain = plain_numbers([row for row in rows if row[""][0] == digit])
        judged = report.groups[mode]
        found, change = judged.agreement, judged.change
        assert change is not None
        assert (found.items, found.votes, found.tied.count) == (807, plain["votes"], plain["ties"])
        assert (change.total, change.change.count) == (807 - plain["ties"], plain["changed"])
        for i, acted in enumerate(change.labels):
            for j, heard in enumerate(change.labels):
                assert change.counts[i, j] == plain["matrix"][letters[acted], letters[heard]]
        for name, key in (
            ("percent_agreement", "percent"), ("fleiss_kappa", "fleiss"), ("krippendorff_alpha", "alpha"),
        ):  # fmt: skip
            value = found.coefficients[name]
            assert value.value == pytest.approx(plain[key], abs=1e-6)
            assert value.low is not None
            assert value.low < plain[key] < (value.high or 0)
    # As far as ten of 91 actors can say: kappa .278 and 8.65 % ties on the whole set, judged by voice.
    voice = report.groups["voice"].agreement
    assert voice.coefficients["fleiss_kappa"].value == pytest.approx(0.278, abs=0.02)
    assert voice.tied.rate == pytest.approx(0.0865, abs=0.01)
