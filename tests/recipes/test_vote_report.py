"""The numbers about labels by vote, against scikit-learn, and what the paper prints beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score
from typer.testing import CliRunner

from remelt.cli import app
from remelt.labels import MELT
from remelt.publishing import publish
from remelt.recipes import feng_tables
from remelt.recipes.panel.content import panel_content
from remelt.recipes.resolving import rater_votes
from remelt.recipes.vote_report import vote_report
from remelt.records import Rating
from remelt.resolution import ResolutionOptions

from ..builders import utterance
from .small_dataset import small_content
from .test_rebuild_panel import WORDS, annotation, member, votes_of
from .votes import LABELS, NAMES, ROWS, VOTES

CLASSES = {"anger", "joy", "neutral", "sadness"}
# Rows with a label of their own.
OWN = (1, 2, 7, 8, 13, 14, 19, 21, 25, 26)


def test_every_number_is_scikit_learns(voted_out: Path) -> None:
    report = vote_report(voted_out, resamples=200)
    own = [LABELS[n % 3] for n in range(ROWS)]
    said = {name: [VOTES[n % len(VOTES)][0][place] for n in range(ROWS)] for place, name in enumerate(NAMES)}
    said["vote"] = [VOTES[n % len(VOTES)][1] for n in range(ROWS)]
    assert [s.name for s in report.sources] == [*NAMES, "vote"]
    for source in report.sources:
        kept = [n for n in range(ROWS) if said[source.name][n] in CLASSES]
        truth, labels = [own[n] for n in kept], [said[source.name][n] for n in kept]
        assert (source.kept.count, source.kept.total) == (len(kept), ROWS)
        assert source.score.accuracy.value == pytest.approx(accuracy_score(truth, labels), abs=1e-6)
        uar = recall_score(truth, labels, labels=sorted(set(truth)), average="macro")
        assert source.score.uar.value == pytest.approx(uar, abs=1e-6)
        assert source.score.f1.value == pytest.approx(f1_score(truth, labels, average="macro"), abs=1e-6)
        assert source.score.kappa.value == pytest.approx(cohen_kappa_score(truth, labels), abs=1e-6)
        assert source.right.count == sum(a == b for a, b in zip(truth, labels, strict=True))
        assert sum(source.lost.values()) == ROWS - len(kept)
        low, high = source.score.uar.low, source.score.uar.high
        assert low is not None
        assert high is not None
        assert low <= uar <= high
    assert report.sources[0].lost == {"no_answer": said["a"].count("frustrated"), "rejected": 3}
    assert report.sources[3].lost == {
        name: said["vote"].count(name) for name in ("no_majority", "rejected", "tie")
    } | {"no_votes": said["vote"].count("invalid_answer")}
    assert report.counts == {"anger": 10, "joy": 10, "neutral": 10, "sadness": 0}
    assert report.asked == ROWS
    assert (report.commonest, report.chance) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def published(out: Path, options: ResolutionOptions, kinds: Sequence[str] = ("model",) * 3) -> None:
    """Thirty rows with raters' judgements; the models a and b have probabilities, c has not.

    Two rows of three have no label of their own; of member c, only every fourth row was asked where it is
    human.
    """
    rows = [
        utterance(
            n,
            label=WORDS[n % 4 % 3] if n in OWN else None,
            ratings=(Rating("r1", (WORDS[n % 3],)), Rating("r2", (WORDS[n % 2],))),
        )
        for n in range(30)
    ]
    members = [member(name, kind) for name, kind in zip("abc", kinds, strict=True)]
    answers = [
        annotation(row, by, label)
        for n, row in enumerate(rows)
        for by, label in zip(members, votes_of(n), strict=True)
        if by["kind"] == "model" or n % 4 == 1
    ]
    ratings = rater_votes(rows, MELT, "toy") if options.rule == "human" else None
    content = small_content()
    content = replace(content, splits=("train",), inputs={"train": 30}, annotations=(), drops=(), prompt=None)
    publish(out, panel_content(content, members, answers, rows, options, ratings))


@pytest.mark.parametrize("rule", ["majority", "soft", "dawid_skene"])
def test_the_vote_is_the_published_one_and_the_other_is_counted_as_a_build_would(
    tmp_path: Path, rule: str
) -> None:
    if rule == "dawid_skene":
        pytest.importorskip("crowdkit")
    options = ResolutionOptions(rule)
    published(tmp_path / "vote", options)
    published(tmp_path / "checked", replace(options, rule="human", base=rule))
    found = {name: vote_report(tmp_path / name, resamples=0) for name in ("vote", "checked")}
    for name, place in (("vote", -2), ("checked", -1)):
        [path] = (tmp_path / name / "data").glob("*.parquet")
        labels = pq.read_table(path).select(["id", "label", "original_label"]).to_pylist()
        known = [row for row in labels if row["original_label"] is not None]
        source = found[name].sources[place]
        assert found[name].asked == len(OWN)
        assert (source.kept.count, source.kept.total) == (len(known), len(OWN))
        assert source.right.count == sum(row["label"] == row["original_label"] for row in known)
    # What the one has published, the other counts anew, from all rows and with the probabilities.
    assert found["vote"].sources[-2:] == found["checked"].sources[-2:]
    assert [source.name for source in found["vote"].sources] == ["a", "b", "c", "vote", "vote + human"]


def test_the_probabilities_decide_in_the_vote_that_is_counted_anew(tmp_path: Path) -> None:
    published(tmp_path / "out", ResolutionOptions("human", base="soft"))
    [*_, vote, _] = vote_report(tmp_path / "out", resamples=0).sources
    # Three models that differ tie where their probabilities are not read.
    assert "tie" not in vote.lost


def test_what_a_source_was_not_asked_about_is_not_its_fault(tmp_path: Path) -> None:
    published(tmp_path / "out", ResolutionOptions(), ("model", "model", "human"))
    report = vote_report(tmp_path / "out", resamples=0)
    assert report.printed is None
    model, _, person, *votes = report.sources
    asked = [n for n in OWN if n % 4 == 1]
    gave = [n for n in asked if votes_of(n)[2] is not None]
    assert (person.kind, person.asked, person.coverage) == (
        "human",
        len(asked),
        round(len(asked) / len(OWN), 6),
    )
    assert (person.kept.count, person.kept.total) == (len(gave), len(asked))
    assert person.right.total == len(asked)
    assert sum(person.lost.values()) == len(asked) - len(gave)
    assert person.as_dict()["coverage"] == person.coverage
    assert [(one.asked, one.coverage) for one in (model, *votes)] == [(len(OWN), 1.0)] * (1 + len(votes))
    shown = CliRunner().invoke(app, ["vote-report", str(tmp_path / "out"), "--resamples", "0", "--plain"])
    assert f"{len(asked)} of {len(OWN)}" in shown.output


def test_several_datasets_as_json(voted_out: Path, tmp_path: Path) -> None:
    arguments = ["vote-report", str(voted_out), str(voted_out), "--resamples", "0", "--json", "-"]
    first, second = json.loads(CliRunner().invoke(app, arguments).output)
    assert first == second
    assert (first["corpus"], first["text"], first["rule"]) == ("meld", "reference", "majority")
    assert first["printed"]["table_4"]["vote"] == 53.90
    assert "not label accuracy" in first["printed"]["meaning"]
    shown = CliRunner().invoke(app, [*arguments[:2], "--plain", "--json", str(tmp_path / "numbers.json")])
    assert shown.exit_code == 0, shown.output
    assert "11,353" in shown.output
    assert json.loads((tmp_path / "numbers.json").read_text())[0]["sources"][0]["name"] == "a"


def test_the_papers_tables_add_up_as_the_remarks_say() -> None:
    totals = {corpus: sum(counts.values()) for corpus, counts in feng_tables.COUNTS.items()}
    assert totals == {"iemocap": 5_531, "meld": 11_353, "msp_improv": 7_798, "msp_podcast": 37_924}
    assert totals["meld"] - feng_tables.COUNTS["meld"]["joy"] == 9_045
    gains, best = {}, {}
    for corpus, (*single, vote, _) in feng_tables.TABLE_4.items():
        values = {name: value for name, value in zip(feng_tables.COLUMNS, single, strict=False) if value}
        best[corpus] = max(values, key=lambda name: values[name])
        assert vote is not None
        gains[corpus] = round(vote - values[best[corpus]], 2)
    assert gains == {"iemocap": 0.44, "meld": 6.28, "msp_improv": 1.08, "msp_podcast": 1.39}
    assert best == {
        "iemocap": "Falcon-40B", "meld": "Falcon-40B", "msp_improv": "Flan-T5 XXL",
        "msp_podcast": "Flan-T5 XXL",
    }  # fmt: skip
    for corpus, rows in feng_tables.TABLE_6.items():
        printed = feng_tables.printed(corpus)
        assert printed is not None
        assert {row: asr for row, (_, asr) in rows.items()} == {row: printed.table_4[row] for row in rows}
    assert feng_tables.printed("ravdess") is None
