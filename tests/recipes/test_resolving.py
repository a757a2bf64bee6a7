"""From annotations and ratings to labels, drops and the manifest's record."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import entropy as scipy_entropy

from remelt import corpora
from remelt.errors import InputError
from remelt.labels import FENG, MELT, SENTIMENT, LabelSet
from remelt.recipes.resolving import decide, options_from, options_record, rater_votes
from remelt.records import Annotation, Rating, Verdict, Vote
from remelt.resolution import Ballot, ResolutionOptions, resolve

from ..builders import reply, request, utterance

MEMBERS = ("gpt", "llama", "qwen")
# CREMA-D's letters.
COMMON = {"A": "anger", "D": "disgust", "F": "fear", "H": "joy", "N": "neutral", "S": "sadness"}
PLURALITY = ResolutionOptions(rule="plurality")


def annotation(number: int, member: str, label: str | None, logprobs: str = "", **failed: Any) -> Annotation:
    """A member's annotation; without a label an answer that failed."""
    asked = request(number, annotator=member)
    verdict = Verdict("valid", label=label) if label else Verdict(**{"status": "invalid", **failed})
    return Annotation(asked, (reply(asked, label_logprobs=logprobs),), (verdict,))


def panel(*rows: Mapping[str, str | None]) -> list[Annotation]:
    return [
        annotation(n, member, label, problems=(f"{member} fell silent",))
        for n, row in enumerate(rows)
        for member, label in row.items()
    ]


def test_labels_and_drops() -> None:
    annotations = panel(
        {"gpt": "joy", "llama": "joy", "qwen": "anger"},
        {"gpt": "joy", "llama": "fear", "qwen": None},
        {"gpt": None, "llama": None},
        {"qwen": "sadness"},
    )
    found = decide(annotations, PLURALITY, MELT, MEMBERS)
    ids = [f"toy/train/dia0_utt{n}" for n in range(4)]
    assert list(found.resolutions) == ids
    assert [found.resolutions[name].label for name in ids] == ["joy", None, None, "sadness"]
    tie, failed = found.drops
    assert (tie.utterance.id, tie.stage, tie.reasons) == (ids[1], "resolution", ("tie",))
    assert tie.details == ("fear and joy lead with 0.5 each",)
    assert (failed.stage, failed.reasons) == ("annotation", ("invalid_answer",))
    assert failed.details == ("gpt: gpt fell silent; llama: llama fell silent",)
    assert found.resolutions[ids[2]].reason == "no_votes"
    assert found.resolutions[ids[0]].votes == (
        Vote("gpt", "joy"),
        Vote("llama", "joy"),
        Vote("qwen", "anger"),
    )
    assert [v.source for v in found.resolutions[ids[3]].votes] == ["qwen"]
    # Every utterance is either labelled or dropped.
    assert sum(r.label is None for r in found.resolutions.values()) == len(found.drops)


def test_failures_of_different_kinds() -> None:
    annotations = [
        annotation(0, "gpt", None, status="refused", problems=("not nice",)),
        annotation(0, "llama", None, status="error", problems=("no line",)),
        annotation(0, "qwen", None, status="refused", problems=("nor nice",)),
    ]
    (dropped,) = decide(annotations, PLURALITY, MELT, MEMBERS).drops
    assert dropped.reasons == ("refused", "no_answer")
    assert dropped.details == ("gpt: not nice; qwen: nor nice", "llama: no line")
    (alone,) = decide(annotations[:1], PLURALITY, MELT, ["gpt"]).drops
    assert (alone.reasons, alone.details) == (("refused",), ("not nice",))


def test_votes_stand_in_the_order_of_the_members() -> None:
    backwards = panel({"qwen": "anger", "gpt": "joy"})
    found = decide(backwards, ResolutionOptions(rule="first"), MELT, MEMBERS)
    (resolution,) = found.resolutions.values()
    assert (resolution.label, resolution.decided_by) == ("joy", "first:gpt")
    with pytest.raises(InputError, match="toy/train/dia0_utt0: Bad annotator 'qwen', expected one of"):
        decide(backwards, PLURALITY, MELT, ["gpt", "llama"])


def test_probabilities_come_from_the_log_probabilities() -> None:
    logprobs = '{"joy": -0.1, "fear": -2.3, "frustration": -0.2}'
    annotations = [annotation(0, "gpt", "joy", logprobs), annotation(0, "llama", "fear")]
    found = decide(annotations, ResolutionOptions(rule="soft"), MELT, MEMBERS)
    first, second = next(iter(found.resolutions.values())).votes
    assert dict(first.probabilities) == pytest.approx({"fear": 0.0997504891, "joy": 0.9002495109})
    assert dict(second.probabilities) == {}
    assert found.record["info"]["soft"] == {"with_probabilities": 1, "without": 1}
    assert found.record["notes"] == list(found.notes) != []


def test_the_record_gives_the_options_back() -> None:
    options = ResolutionOptions(
        rule="weighted", ties="first", weights={"gpt": 2.0, "llama": 0.5}, sources=("llama", "gpt"), seed=4
    )
    annotations = panel({"gpt": "sadness", "llama": "other"}, {"llama": "other"})
    found = decide(annotations, options, FENG, MEMBERS)
    record = json.loads(json.dumps(found.record))
    assert sorted(record) == ["info", "notes", "options", "ratings", "rule"]
    again = options_from(record["options"])
    # What the label set rejects stands in the record, for whoever reads it without the label set.
    assert again == ResolutionOptions(**{**options_record(options), "reject": ("other",)})
    bare = LabelSet("bare", FENG.labels, FENG.prompt_order)
    assert decide(annotations, again, bare, MEMBERS) == found
    assert [r.reason for r in found.resolutions.values()] == ["", "rejected"]
    assert options_from({"rule": "first"}) == ResolutionOptions(rule="first")
    with pytest.raises(InputError, match="Bad resolution option 'tie', expected one of"):
        options_from({"tie": "first"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ResolutionOptions(sources=("gpt", "mistral")), "Bad source 'mistral', expected one of ['gpt',"),
        (ResolutionOptions(rule="human", human="ann"), "Bad human rater 'ann', expected one of ['gpt',"),
        (ResolutionOptions(rule="consistency"), "between two sources and got ['gpt', 'llama', 'qwen']"),
        (ResolutionOptions(rule="weighted", weights={"mistral": 2}), "Bad weighted source 'mistral'"),
    ],
)
def test_unknown_sources(options: ResolutionOptions, message: str) -> None:
    with pytest.raises(InputError) as caught:
        decide(panel({"gpt": "joy"}), options, MELT, MEMBERS)
    assert message in str(caught.value)


def test_people_among_the_members_and_in_the_corpus() -> None:
    annotations = panel({"gpt": "joy", "ann": "joy"}, {"gpt": "joy", "ann": "anger"}, {"gpt": "joy"})
    human = ResolutionOptions(rule="human")
    found = decide(annotations, human, MELT, ["gpt", "ann"], kinds={"gpt": "import", "ann": "human"})
    assert [r.reason for r in found.resolutions.values()] == ["", "disagreement", "no_rater"]
    assert [d.stage for d in found.drops] == ["resolution", "resolution"]
    assert found.record["ratings"] is False
    ratings = {"toy/train/dia0_utt2": [Vote("bo", "joy", "human")], "elsewhere": [Vote("cy", "joy", "human")]}
    judged = decide(annotations, human, MELT, ["gpt", "ann"], ratings, kinds={"ann": "human"})
    assert [r.decided_by for r in judged.resolutions.values()] == ["human:ann", "", "human:bo"]
    assert judged.record["ratings"] is True
    with pytest.raises(InputError, match=r"Raters and annotators have the same names: \['gpt'\]"):
        decide(
            annotations, human, MELT, ["gpt", "ann"], {"toy/train/dia0_utt2": [Vote("gpt", "joy", "human")]}
        )


def test_the_votes_of_a_corpuss_raters() -> None:
    """IEMOCAP's words: several labels share a vote, others have no name here, self-reports are left out."""
    rated = utterance(
        1,
        ratings=(
            Rating("C-E1", ("hap", "exc")),
            Rating("C-E2", ("neu", "fru")),
            Rating("C-E3", ("ang", "sad")),
            Rating("C-E4", ("fru",)),
            Rating("C-F1", ("sad",)),
            Rating("C-M1", ("sad",)),
            Rating("A-E1", (), {"valence": 2.0}),
        ),
    )
    found = rater_votes([utterance(0), rated], FENG, "iemocap")
    assert found == {
        rated.id: [
            Vote("C-E1", "joy", "human"),
            Vote("C-E2", "neutral", "human"),
            Vote("C-E3", None, "human", {"anger": 0.5, "sadness": 0.5}),
            Vote("C-E4", None, "human"),
        ]
    }
    # Names of the set itself where the corpus has no map; a rater without a name is numbered.
    own = utterance(
        2, ratings=(Rating("", ("Positive",)), Rating("", ("good",)), Rating("C-F1", ("negative",)))
    )
    assert rater_votes([own], SENTIMENT, "calls") == {
        own.id: [
            Vote("rater/1", "positive", "human"),
            Vote("rater/2", None, "human"),
            Vote("C-F1", "negative", "human"),
        ]
    }


def test_raters_without_names_cannot_be_estimated() -> None:
    annotations = panel({"gpt": "joy"})
    ratings = {"toy/train/dia0_utt0": [Vote("voice/1", "joy", "human")]}
    with pytest.raises(InputError, match=r"needs to know who said what, and the raters \['voice/1'\]"):
        decide(annotations, ResolutionOptions(rule="dawid_skene"), MELT, MEMBERS, ratings)
    only = ResolutionOptions(rule="dawid_skene", sources=("gpt",))
    assert [r.label for r in decide(annotations, only, MELT, MEMBERS, ratings).resolutions.values()] == [
        "joy"
    ]


def test_the_votes_of_crema_d(test_data: Path) -> None:
    """807 clips of ten actors, judged by voice, against the winners that the tables themselves name."""
    with (test_data / "cremad" / "tabulatedVotes_actors_1001-1010.csv").open(encoding="utf-8") as file:
        table = {row["fileName"]: row for row in csv.DictReader(file) if row[""].startswith("1")}
    corpus = corpora.load(test_data / "cremad")
    votes = rater_votes(corpus.utterances, MELT, "cremad")
    ballots = [Ballot(name, tuple(cast)) for name, cast in votes.items()]
    most = resolve(ballots, MELT.labels, PLURALITY)
    strict = resolve(ballots, MELT.labels, ResolutionOptions())
    halves = 0
    own = {u.id: str(u.dialogue_id) for u in corpus.utterances}
    for leading, sure in zip(most.resolutions, strict.resolutions, strict=True):
        row = table[own[leading.utterance_id]]
        counts = [int(row[letter]) for letter in "ADFHNS"]
        winners = {COMMON[letter] for letter in row["emoVote"].split(":")}
        assert leading.label == (winners.pop() if len(winners) == 1 else None)
        assert len(leading.votes) == int(row["numResponses"])
        assert leading.share == pytest.approx(float(row["agreement"]))
        assert leading.entropy == pytest.approx(scipy_entropy(counts, base=2), abs=1e-8)
        assert sure.label == (leading.label if 2 * max(counts) > sum(counts) else None)
        halves += sorted(counts)[-2:] == [sum(counts) / 2] * 2
    assert (len(ballots), most.info["decided"], most.info["reasons"]) == (807, 733, {"tie": 74})
    assert strict.info["decided"] == 506
    assert strict.info["reasons"] == {"no_majority": 301 - halves, "tie": halves}
    acted = {u.id: COMMON[(u.label or "")[0].upper()] for u in corpus.utterances}
    changed = sum(r.label not in (None, acted[r.utterance_id]) for r in most.resolutions)
    assert changed == 360
