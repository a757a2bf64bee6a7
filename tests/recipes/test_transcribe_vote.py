"""Labels by vote: what is kept and why the rest is not, whose words are annotated, who has the last word."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from remelt import corpora
from remelt.cli import app
from remelt.errors import InputError
from remelt.publishing import find_problems
from remelt.recipes import building
from remelt.recipes.feng_tables import COUNTS
from remelt.recipes.finishing import BuildResult
from remelt.recipes.listening import transcribe, transcripts
from remelt.recipes.listening.texts import Texts
from remelt.recipes.options import BuildOptions, Member
from remelt.recipes.rebuild import rebuild
from remelt.recipes.reporting import Reporter
from remelt.recipes.transcribe_vote import VoteOptions, build, plan, transcripts_folder
from remelt.resolution import ResolutionOptions

from ..builders import write_meld
from ..corpora.test_iemocap import release as iemocap
from .votes import NAMES, ROWS, VOTES, label_files, voted

LOST = ("no_majority", "tie", "rejected", "invalid_answer")


def table(out: Path, config: str) -> list[dict[str, Any]]:
    return [
        row for path in sorted((out / config).glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def expected(reason: str) -> int:
    return sum(VOTES[n % len(VOTES)][1] == reason for n in range(ROWS))


def test_the_vote_decides_what_is_kept_and_says_why_the_rest_is_not(voted_build: BuildResult) -> None:
    result = voted_build
    names = result.manifest["label_set"]["labels"]
    kept = {row["id"]: names[row["label"]] for row in table(result.out, "data")}
    for n in range(ROWS):
        outcome = VOTES[n % len(VOTES)][1]
        assert kept.get(f"meld/train/dia{n // 10}_utt{n % 10}") == (outcome if outcome in names else None)
    dropped = Counter(reason for row in table(result.out, "dropped") for reason in row["reasons"])
    assert dropped == {name: expected(name) for name in LOST}
    counts = result.manifest["counts"]["train"]
    assert counts["input"] == ROWS == len(kept) + counts["quarantined"] + counts["unresolved"]
    assert "other" not in kept.values()
    assert result.manifest["resolution"]["options"]["reject"] == ["other"]


def write_transcripts(folder: Path, corpus: Path, words: dict[int, str | None]) -> Path:
    rows = [
        transcripts.Transcript(
            u.id, u.split, u.speaker, u.label, 1.5, u.words, words.get(n, f"heard {n}"), "valid", "", "m"
        )
        for n, u in enumerate(corpora.load(corpus).utterances)
    ]
    transcripts.write(folder, {"train": rows}, {"corpus": "meld", "source": "ear", "splits": ["train"]})
    return folder


def test_a_recognisers_words_are_annotated_and_published(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", ROWS)
    folder = write_transcripts(tmp_path / "heard", corpus, {0: None, 1: ""})
    [alone, *_] = label_files(tmp_path)
    result = voted(tmp_path, VoteOptions(Texts("asr", folder)), annotator=alone)
    rows = {row["id"]: row for row in table(result.out, "data")}
    assert rows["meld/train/dia0_utt4"]["text"] == "heard 4"
    lost = {row["id"]: row["reasons"] for row in table(result.out, "dropped") if row["stage"] == "selection"}
    # A single model rejects as well.
    rejected = [n for n in range(2, ROWS) if VOTES[n % len(VOTES)][0][0] == "other"]
    reasons = Counter(reason for row in table(result.out, "dropped") for reason in row["reasons"])
    assert reasons["rejected"] == len(rejected) > 0
    assert lost == {"meld/train/dia0_utt0": ["empty_text"], "meld/train/dia0_utt1": ["empty_text"]}
    assert result.manifest["options"]["text"] == "asr"
    assert result.manifest["options"]["transcripts"]["source"] == "ear"
    assert "`text` is what a recogniser heard" in (result.out / "README.md").read_text(encoding="utf-8")


def test_a_recogniser_may_listen_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = write_meld(tmp_path / "corpus", ROWS)
    heard: list[transcribe.TranscribeOptions] = []

    def listen(options: transcribe.TranscribeOptions, reporter: object = None) -> None:
        heard.append(options)
        write_transcripts(options.out, corpus, {})

    monkeypatch.setattr(transcribe, "transcribe", listen)
    monkeypatch.setattr(building, "build_recipe", lambda spec, options, reporter: (spec, options))
    options = BuildOptions(str(corpus), tmp_path / "out", "mock")
    before = plan(options, VoteOptions(asr="ear/large"))
    assert "line number 0" in before.prompts[0].messages[0].content
    assert heard == []
    made: Any = build(options, VoteOptions(asr="ear/large"))
    folder = transcripts_folder(tmp_path / "out")
    assert [(one.asr, one.out) for one in heard] == [("ear/large", folder)]
    spec, _ = made
    prepared = spec.prepare(corpora.load(corpus), Reporter())
    assert prepared.utterances[0].words == "heard 0"


def test_a_person_has_the_last_word(tmp_path: Path) -> None:
    corpus = iemocap(tmp_path / "iemocap", clips="")
    first, second = "iemocap/train/Ses01F_impro01_F000", "iemocap/train/Ses05M_script01_1b_M001"
    for name in NAMES:
        (tmp_path / f"{name}.csv").write_text(f"id,label\n{first},neutral\n{second},anger\n")
    members = [Member(f"replay:{tmp_path / name}.csv", name) for name in NAMES]
    options = BuildOptions(str(corpus), tmp_path / "out", members)
    nobody = replace(options, resolution=ResolutionOptions(human="nobody"))
    with pytest.raises(InputError, match="Bad human rater 'nobody', expected one of"):
        build(nobody, VoteOptions(human=True))
    # Of the first turn's raters C-E2 says neutral, C-E4 excited, C-F1 speaks of herself.
    result = build(replace(options, resolution=ResolutionOptions(human="C-E2")), VoteOptions(human=True))
    [row] = table(result.out, "data")
    assert (row["id"], row["decided_by"]) == (first, "human:C-E2")
    assert [v["source"] for v in row["votes"]] == [*NAMES, "C-E2", "C-E3", "C-E4"]
    lost = {row["id"]: row["reasons"] for row in table(result.out, "dropped")}
    assert lost[second] == ["no_rater"]
    assert result.manifest["counts"]["train"]["input"] == 5


def test_nobody_can_be_asked_where_nobody_rated(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"meld has no ratings, and none were added"):
        voted(tmp_path, VoteOptions(human=True))
    with pytest.raises(InputError, match=r"Nobody asks the rater 'Ann': without --human"):
        voted(tmp_path, resolution=ResolutionOptions(human="Ann"))
    with pytest.raises(InputError, match=r"Bad labels \['sad'\]: the prompt's are"):
        voted(tmp_path, labels=("sad",))
    assert not (tmp_path / "out").exists()


def test_all_of_meld_that_has_one_of_the_four_classes(test_data: Path, tmp_path: Path) -> None:
    found = plan(BuildOptions(str(test_data / "meld"), tmp_path / "out", "mock"), show=1)
    assert (found.utterances, found.rows, found.splits) == (13_708, 11_353, ("train", "dev", "test"))
    assert sum(COUNTS["meld"].values()) == 11_353
    assert not (tmp_path / "out").exists()


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_commands(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", ROWS)
    shared = ["transcribe-vote", "--corpus", corpus, "--out", tmp_path / "out", "--plain"]
    shared += [part for n in range(3) for part in ("--annotator", f"mock:invalid=0.3,odd=0.2,seed={n}")]
    planned = run("plan", *shared, "--show", 1)
    assert planned.exit_code == 0, planned.output
    assert "Options: -neutral -sad -angry -happy -other ANSWER:" in planned.output
    built = run("build", *shared)
    assert built.exit_code == 0, built.output
    parameters = table(tmp_path / "out", "annotations")[0]["parameters"]
    assert '"temperature":0.02' in parameters
    assert '"max_tokens":64' in parameters
    again = rebuild(tmp_path / "out", tmp_path / "again").out
    for path in sorted((tmp_path / "out").glob("*/*.parquet")):
        assert path.read_bytes() == (again / path.relative_to(tmp_path / "out")).read_bytes()
    assert find_problems(again) == []
    replies = table(again, "annotations")
    assert {row["status"] for row in replies} == {"valid", "invalid"}
    asked = [row["messages"] for row in replies if row["attempt"] == 0]
    assert all("-neutral -sad -angry -happy -other ANSWER:" in messages for messages in asked)
    told = run("vote-report", tmp_path / "out", "--plain", "--resamples", 0)
    assert told.exit_code == 0, told.output
    assert "not label accuracy" in told.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--text", "asr"], "--text asr needs --transcripts"),
        (["--text", "spoken"], "Bad text 'spoken', expected one of"),
        (["--language", "en"], "--language en has no effect without --asr"),
        (["--asr", "whisper/tiny", "--text", "reference"], "has no effect on --text reference"),
        (["--asr", "whisper/tiny", "--transcripts", "x"], "give one of them"),
    ],
)
def test_what_cannot_go_together_is_told(tmp_path: Path, arguments: list[str], problem: str) -> None:
    shared = ["--corpus", "sample", "--out", tmp_path / "out", "--annotator", "mock"]
    result = run("build", "transcribe-vote", *shared, *arguments)
    assert isinstance(result.exception, InputError)
    assert problem in str(result.exception)
