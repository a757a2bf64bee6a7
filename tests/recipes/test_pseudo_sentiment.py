"""The pre-training set of MERITS-L: words, oracle, splits, votes, and the overlap with the oracle."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from remelt.cli import app
from remelt.corpora import load
from remelt.engine import EngineOptions
from remelt.errors import InputError
from remelt.publishing import find_problems, write_card
from remelt.recipes.exchange.adding import AddOptions, add_annotations
from remelt.recipes.finishing import BuildResult
from remelt.recipes.listening.texts import Texts
from remelt.recipes.listening.transcripts import Transcript, write
from remelt.recipes.options import BuildOptions
from remelt.recipes.oracle import DATASET, oracle_overlap
from remelt.recipes.pseudo_sentiment import SentimentOptions, build, default_splits, plan
from remelt.recipes.rebuild import rebuild
from remelt.recipes.reporting import Reporter
from remelt.recipes.resplit import SplitOptions
from remelt.recipes.sentiment_oracle import OracleOptions
from remelt.resolution import ResolutionOptions

from ..builders import write_meld
from ..panels import only_publish

HEADER = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
# By the paper: [1, 3) negative, (5, 7] positive, else neutral.
VALENCES = {"1.0": "negative", "2.99": "negative", "3.0": "neutral", "4.2": "neutral", "5.0": "neutral",
            "5.01": "positive", "7.0": "positive"}  # fmt: skip
PARTS = ("Train", "Development", "Test1", "Test2")
TURNS = 56


@pytest.fixture(scope="module")
def podcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MSP-Podcast in little: 56 turns over four partitions, every eighth without a valence, no texts."""
    folder = tmp_path_factory.mktemp("msp") / "podcast"
    rows = []
    for n in range(TURNS):
        name, valence = f"MSP-PODCAST_0001_{n:04d}.wav", "" if n % 8 == 7 else list(VALENCES)[n % 8]
        rows.append((name, "N", "4.0", valence, "4.0", str(n % 5), "Male", PARTS[n % 4]))
    (folder / "Labels").mkdir(parents=True)
    with (folder / "Labels" / "labels_consensus.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return folder


@pytest.fixture(scope="module")
def heard(podcast: Path) -> Path:
    """Its transcripts; turn 8 was not heard, turn 9 has no words."""
    rows: dict[str, list[Transcript]] = {}
    for n, u in enumerate(sorted(load(podcast).utterances, key=lambda u: u.dialogue_id)):
        text = {8: None, 9: ""}.get(n, f"so this is turn number {n}")
        row = Transcript(u.id, u.split, u.speaker, u.label, 2.0, None, text, "valid", "", "v3")
        rows.setdefault(u.split, []).append(row)
    folder = podcast.parent / "heard"
    about = {"corpus": "msp_podcast", "source": "whisper/large-v3", "model": "whisper-large-v3@1"}
    write(folder, rows, {**about, "parameters": {"beam": 1}, "splits": list(rows)})
    return folder


@pytest.fixture(scope="module")
def paper(podcast: Path, heard: Path) -> Path:
    """The set that is made of both; a part of the answers cannot be used."""
    options = {"sentiment": SentimentOptions(Texts("asr", heard)), "engine": EngineOptions(retries=0)}
    return made(podcast, podcast.parent / "out", "mock:invalid=0.1", **options).out


def made(corpus: Path | str, out: Path, who: Any = "mock", **options: Any) -> BuildResult:
    sentiment = options.pop("sentiment", SentimentOptions())
    return build(BuildOptions(str(corpus), out, who, temperature=0.0, **options), sentiment)


def table(out: Path, config: str = "data") -> list[dict[str, Any]]:
    paths = sorted((out / config).glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text("utf-8"))
    return found


def parquet(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.glob("*/*.parquet"))}


def test_the_set_of_the_paper_in_little(paper: Path) -> None:
    assert find_problems(paper) == []
    about = manifest(paper)
    read = load_dataset(str(paper))
    labels = read["train"].features["original_label"].names
    assert labels == read["train"].features["label"].names == ["negative", "neutral", "positive"]
    for row in [*read["train"], *read["validation"]]:
        n = int(row["dialogue_id"][-4:])
        assert row["text"] == f"so this is turn number {n}"
        assert row["id"].split("/")[1] == PARTS[n % 4].lower()
        truth = None if row["original_label"] is None else labels[row["original_label"]]
        assert truth == (None if n % 8 == 7 else list(VALENCES.values())[n % 8])
    dropped = {row["id"][-4:]: row for row in table(paper, "dropped")}
    unheard = {key: row for key, row in dropped.items() if row["stage"] == "selection"}
    assert {key: row["reasons"] for key, row in unheard.items()} == (
        {"0008": ["empty_text"], "0009": ["empty_text"]}
    )
    # The oracle is found for every turn that has a valence, also for those without words.
    assert {row["original_label"] for row in unheard.values()} == {"negative"}
    kept = len(read["train"]) + len(read["validation"])
    assert kept + len(dropped) == TURNS
    assert len(dropped) > 2
    # The draw is of all rows that were asked about; some came back without a label.
    lost = {row["split"] for row in dropped.values() if row["stage"] == "annotation"}
    assert lost <= {"train", "validation"}
    assert len(read["validation"]) + sum(
        row["split"] == "validation" and row["stage"] == "annotation" for row in dropped.values()
    ) == round(0.2 * (TURNS - 2))
    assert {s: c["kept"] for s, c in about["counts"].items()} == {s: len(read[s]) for s in read}
    assert (about["resplit"], about["prompt"]["name"]) == (True, "merits-l")
    options = about["options"]
    assert (options["text"], options["transcripts"]) == (
        "asr",
        {"source": "whisper/large-v3", "model": "whisper-large-v3@1", "parameters": {"beam": 1}},
    )
    assert options["oracle"]["counts"] == {"negative": 14, "neutral": 21, "positive": 14}
    assert sum(options["split"]["corpus_splits"].values()) == TURNS - 2
    assert any("development, test1, test2 of msp_podcast" in note for note in about["notes"])
    card = (paper / "README.md").read_text("utf-8")
    for said in (
        "`text` is what a recogniser heard", "whisper/large-v3", "positive above 5.0, negative below 3.0",
        "That is another sample than this one.", "20.00 % of the selected rows", "dutta2025merits",
        "must not be evaluated on them",
    ):  # fmt: skip
        assert said in card, said


def test_the_card_of_transcripts_that_name_no_model(paper: Path, tmp_path: Path) -> None:
    shutil.copytree(paper, tmp_path / "out")
    about = manifest(paper)
    for known in ({"source": "whisper/large-v3"}, {}):
        about["options"]["transcripts"] = known
        card = write_card(tmp_path / "out", about).read_text("utf-8")
        assert f"not the corpus's own words: {known.get('source', 'not stated')}." in card


def test_it_is_rebuilt_to_the_byte_without_corpus_or_transcripts(paper: Path, tmp_path: Path) -> None:
    rebuild(paper, tmp_path / "again")
    assert parquet(paper) == parquet(tmp_path / "again")
    assert find_problems(tmp_path / "again") == []
    one, other = (oracle_overlap(out, resamples=10).as_dict() for out in (paper, tmp_path / "again"))
    assert one == other


def test_another_draw_moves_rows_and_asks_nothing(tmp_path: Path) -> None:
    corpus, out = write_meld(tmp_path / "meld", 60), tmp_path / "out"
    first = made(corpus, out)
    before = {row["id"]: row["label"] for row in table(out)}
    ids = {row["id"] for row in pq.read_table(next(out.glob("data/val*"))).to_pylist()}
    again = made(corpus, out, sentiment=SentimentOptions(split=SplitOptions(0.5, seed=1)))
    assert (first.stats.asked, again.stats.asked) == (60, 0)
    assert {row["id"]: row["label"] for row in table(out)} == before
    held = {row["id"] for row in pq.read_table(next(out.glob("data/val*"))).to_pylist()}
    assert (len(ids), len(held)) == (12, 30)
    assert not ids <= held


def test_what_is_added_moves_no_row_and_the_old_command_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("building", "exchange.adding"):
        monkeypatch.setattr(f"remelt.recipes.{name}.finish", only_publish)
    corpus, who = write_meld(tmp_path / "meld", 60), "mock:invalid=0.6"
    out = made(corpus, tmp_path / "out", who, engine=EngineOptions(retries=0)).out
    lost = [row["id"] for row in table(out, "dropped")]
    assert len(lost) > 10
    before = {row["id"]: row["split"] for row in table(out, "dropped")}
    file = tmp_path / "ann.csv"
    file.write_text("\n".join(["id,label", *(f"{key},positive" for key in lost[:-3])]), encoding="utf-8")
    add_annotations(out, AddOptions(file=file))
    added, about = parquet(out), manifest(out)["options"]
    ids = {row["id"] for path in out.glob("data/val*") for row in pq.read_table(path).to_pylist()}
    assert {key for key, split in before.items() if split == "validation"} & set(lost[:-3]) <= ids
    made(corpus, out, who, engine=EngineOptions(retries=0))
    assert parquet(out) == added
    assert manifest(out)["options"] == about


class Listener(Reporter):
    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """All splits of a corpus with its test sets, by rules that drop rows; and what was told on the way."""
    folder = tmp_path_factory.mktemp("all")
    for split in ("train", "dev", "test"):
        write_meld(folder / "meld", 20, split)
    (folder / "rules.yaml").write_text("name: rules\ndrop_speakers: [Ross]\n", encoding="utf-8")
    listener = Listener()
    options = BuildOptions(
        folder / "meld", folder / "out", "mock", splits=("all",), profile=str(folder / "rules.yaml"), limit=20
    )
    return build(options, reporter=listener).out, listener.told


def test_test_sets_stay_out_unless_they_are_asked_for(
    podcast: Path, everything: tuple[Path, list[str]], tmp_path: Path
) -> None:
    out, told = everything
    corpus = out.parent / "meld"
    assert default_splits(load(corpus)) == ("train",)
    # The corpus of the paper is taken whole.
    assert default_splits(load(podcast)) == ("train", "development", "test1", "test2")
    assert plan(BuildOptions(corpus, tmp_path / "x", "mock")).rows == 20
    assert manifest(out)["options"]["split"]["corpus_splits"] == {"train": 10, "dev": 10, "test": 0}
    said = "splits dev, test of meld: a model that was pre-trained on it must not be evaluated on them"
    assert any(said in text for text in told)
    assert any(said in text for text in manifest(out)["notes"])
    assert said in (out / "README.md").read_text("utf-8")


def test_the_counts_of_rules_and_defects_are_those_of_the_new_splits(
    everything: tuple[Path, list[str]],
) -> None:
    out, _ = everything
    assert find_problems(out) == []
    counts, corpus = manifest(out)["counts"], manifest(out)["corpus"]
    rows = {(row["split"], row["rule"]): row for row in manifest(out)["attrition"]}
    for split in ("train", "validation"):
        speaker, limit = rows[split, "speaker"], rows[split, "limit"]
        assert speaker["in_order"] + limit["in_order"] == counts[split]["dropped"]
        assert limit["left"] == counts[split]["kept"]
    assert sum(rows[s, "speaker"]["in_order"] for s in counts) == 30
    found = Counter((d["split"], f) for d in table(out, "dropped") for f in d["utterance_flags"])
    for split in counts:
        kept = pq.read_table(next(out.glob(f"data/{split}-*"))).to_pylist()
        found.update((split, flag) for row in kept for flag in row["flags"])
    assert sum(found.values()) > 0
    for name, by_split in corpus["defects"].items():
        assert by_split == {split: found[split, name] for split in ("train", "validation")}


def test_overlap_of_known_answers(tmp_path: Path) -> None:
    """Three annotators of a file: always right, always neutral, and one that skips a row."""
    corpus = write_meld(tmp_path / "meld", 30)
    truth = {u.id: str(u.sentiment) for u in load(corpus).utterances}
    answers = {
        "right": truth,
        "neutral": dict.fromkeys(truth, "neutral"),
        "skips": dict(list(truth.items())[1:]),
    }
    for name, given in answers.items():
        lines = ["id,label", *(f"{key},{label}" for key, label in given.items())]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    who = tuple(f"replay:{tmp_path / name}.csv" for name in answers)
    listener = Listener()
    options = BuildOptions(corpus, tmp_path / "out", who, resolution=ResolutionOptions(rule="soft"))
    build(options, reporter=listener)
    # What a rule has to say is told at once, and not only in the card.
    assert "89 of 89 votes have no probabilities and count in full for their label." in listener.told
    report = oracle_overlap(tmp_path / "out")
    assert [one.name for one in report.overlaps] == [
        "replay:right.csv",
        "replay:neutral.csv",
        "replay:skips.csv",
        DATASET,
    ]
    right, neutral, skips, published = report.overlaps
    assert (right.rows, right.overlap.value, right.uar.value, right.kappa) == (30, 1.0, 1.0, 1.0)
    # Ten rows of each sentiment: a third is right, and one of three recalls is 1.
    assert (neutral.overlap.value, neutral.uar.value) == pytest.approx((1 / 3, 1 / 3))
    assert neutral.matrix.counts.tolist() == [[0, 10, 0], [0, 10, 0], [0, 10, 0]]
    assert (skips.rows, skips.unanswered, skips.overlap.value) == (29, 1, 1.0)
    # The first row is positive; without the third vote, two labels lead.
    assert (published.rows, published.unanswered, published.overlap.value) == (29, 1, 1.0)  # fmt: skip


def test_thresholds_can_be_moved_after_the_build(paper: Path) -> None:
    usual = oracle_overlap(paper).overlaps[0]
    # Every eighth of 56 turns has no valence, two of the others no words.
    assert usual.rows + usual.unanswered == 47
    moved = oracle_overlap(paper, OracleOptions(positive_above=4.0, negative_below=4.0))
    # Valences 4.2 and 5.0 are positive now, 3.0 is negative: nothing is neutral.
    assert moved.oracle.record["counts"]["neutral"] == 0
    assert moved.overlaps[0].recalls["neutral"] is None
    with pytest.raises(InputError, match=r"_0013: bad valence 5\.01, expected a number from 1 to 5"):
        oracle_overlap(paper, OracleOptions("valence", 4.0, 2.0, (1.0, 5.0)))
    assert oracle_overlap(paper).as_dict()["published"]["percent"] == (
        {"GPT-3.5 Turbo": 52.98, "Llama-3-8b-chat": 50.91, "Mixtral-8x7B-Instruct-v0.1": 44.98}
    )


def test_what_has_no_oracle_or_other_labels_is_refused(tmp_path: Path) -> None:
    corpus, out = write_meld(tmp_path / "meld", 6), tmp_path / "out"
    with pytest.raises(InputError, match="Bad labels"):
        made(corpus, tmp_path / "x", labels=("happy", "sad"))
    sentiment = SentimentOptions(oracle=OracleOptions("none"), split=SplitOptions(0.0))
    result = made(corpus, out, sentiment=sentiment)
    assert any("There is no oracle" in note for note in result.manifest["notes"])
    assert {row["original_label"] for row in table(out)} == {None}
    assert [p.name.split("-")[0] for p in (out / "data").iterdir()] == ["train"]
    assert find_problems(out) == []
    # What the corpus says is still in the replies' rows.
    assert oracle_overlap(out, OracleOptions()).oracle.source == "sentiment"
    labels = {**result.manifest["label_set"], "labels": ["anger", "joy"]}
    (out / "manifest.json").write_text(json.dumps({**result.manifest, "label_set": labels}), "utf-8")
    with pytest.raises(InputError, match=r"has the labels \['anger', 'joy'\]"):
        oracle_overlap(out)


def test_the_command_line(tmp_path: Path) -> None:
    out, run = tmp_path / "out", CliRunner().invoke
    common = ["pseudo-sentiment", "--corpus", "sample", "--out", str(out), "--annotator", "mock"]
    planned = run(app, ["plan", *common])
    assert planned.exit_code == 0, planned.output
    assert "You are a sentiment classification bot." in planned.output
    assert not out.exists()
    done = run(app, ["build", *common, "--validation-share", "0.25", "--split-by", "dialogue", "--plain"])
    assert done.exit_code == 0, done.output
    assert "Measured on another sample" in done.output
    about = manifest(out)
    assert about["annotator"]["parameters"]["temperature"] == 0.0
    assert about["options"]["split"]["by"] == "dialogue"
    # The sample corpus has clips, and the set is one of words.
    assert not {"audio", "f0_semitone_mean"} & {*table(out)[0]}
    told = run(app, ["oracle", str(out), "--json", "-", "--resamples", "10"])
    assert json.loads(told.output)["overlaps"][0]["rows"] == 58
    shown = run(app, ["oracle", str(out)])
    for said in ("Overlap with the oracle", "Measured on another sample", "52.98", "recall %"):
        assert said in shown.output, said
    wrong = run(app, ["oracle", str(out), "--valence-scale", "1"])
    assert wrong.exit_code != 0
    assert "Bad --valence-scale '1', expected two numbers such as 1,7" in str(wrong.exception)
    lacking = run(app, ["build", *common, "--text", "asr"])
    assert "--text asr needs --transcripts FOLDER" in str(lacking.exception)
