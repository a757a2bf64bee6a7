"""What each page needs, and which of its commands are only checked against the command line."""

from __future__ import annotations

# Page -> path in its folder -> what stands there (see `Stage`).
NEEDED: dict[str, dict[str, str]] = {
    "README.md": {
        "MELD_DIR": "meld with clips", "meld_train.csv": "labels", "panel.yaml": "panel file",
        "people.csv": "people", "mine.csv": "table",
    },
    "docs/acoustics.md": {"clip.wav": "wav", "clips/a.wav": "wav"},
    "docs/agreement.md": {
        "OUT": "panel", "CREMA-D": "cremad", "labels.csv": "ratings", "votes.jsonl": "votes",
    },
    "docs/annotating.md": {"MELD_DIR": "meld", "prices.yaml": "prices"},
    "docs/audio.md": {"dia0_utt0.mp4": "wav", "Ses01F_impro01.wav": "wav"},
    "docs/audit.md": {"OUT": "dataset", "OTHER": "panel", "FILE.csv": "labels"},
    "docs/batch.md": {"MELD": "meld"},
    "docs/corpora.md": {"RAVDESS": "ravdess", "CREMA-D": "cremad"},
    "docs/dataset-format.md": {"OUT": "voiced"},
    "docs/costs.md": {"MELD": "meld"},
    "docs/descriptions.md": {"OUT": "dataset", "CORPUS": "meld"},
    "docs/exchange.md": {},
    "docs/faq.md": {"mine.csv": "table"},
    "docs/inspect.md": {"DIR": "meld", "TABLE.csv": "table", "FILE.yaml": "mapping"},
    "docs/levels.md": {"RAVDESS": "ravdess"},
    "docs/local-models.md": {"CORPUS": "meld"},
    "docs/melt.md": {"MELD": "meld", "meld_train.csv": "labels"},
    "docs/panel.md": {"MELD": "meld", "panel.yaml": "panel file"},
    "docs/profiles.md": {"MELD": "meld"},
    "docs/pseudo-sentiment.md": {"MSP-PODCAST": "podcast", "MELD": "meld"},
    "docs/resolution.md": {"MELD": "meld", "people.csv": "people", "speech.csv": "people"},
    "docs/review.md": {"OUT": "panel"},
    "docs/scale.md": {"big.csv": "named table", "CORPUS": "ravdess"},
    "docs/sharing.md": {"melt": "replayed", "MELD": "meld", "MELT/meld_train.csv": "labels"},
    "docs/transcribe-vote.md": {
        "MELD": "meld", "panel.yaml": "panel file", "three.yaml": "panel file", "IEMOCAP": "iemocap",
        "RAVDESS": "ravdess", "people.csv": "people",
    },
    "docs/tutorial.md": {"MELD_DIR": "meld"},
    "docs/transcripts.md": {"RAVDESS": "ravdess"},
}  # fmt: skip

# The beginning of a command, or a piece of it -> why it is not run here.
NOT_RUN: dict[str, str] = {
    "remelt review ": "serves a page until Ctrl-C; tests/recipes/test_review_commands.py runs it",
    "remelt review-report": "needs people's judgements; tests/recipes/test_review_commands.py makes them",
    "remelt augment": "needs three sessions; tests/recipes/test_augmentation.py runs it",
    "--asr faster-whisper/tiny.en --retries": "hears with a model; tests/recipes/test_transcribe_vote.py",
    "vote-report out/ravdess-vote": "of the build before it, which is not run",
    "--offline": "would hold for all tests of this process; tests/test_offline.py runs it",
    "--from export.json": "Label Studio's file; tests/exchange/test_label_studio.py has one",
    "--from labelled.parquet": "Argilla's file; tests/exchange/test_argilla.py has one",
    "--engine ray": "starts Ray; tests/recipes/test_cluster.py runs it",
    "openai-batch/": "waits for batches; tests/recipes/test_batches.py runs it",
    "hf/": "loads a model of the Hub; tests/annotators/test_hf.py runs them",
    "remelt models fetch": "downloads a model; tests/cli/test_models.py runs it",
    "remelt models verify": "needs the model; tests/cli/test_models.py runs it",
    "remelt models remove": "needs the model; tests/cli/test_models.py runs it",
    "--system": "trains models; tests/cli/test_evaluate.py and tests/recipes/evaluation run it",
    "remelt transcribe IEMOCAP_DIR": "of a corpus under another name; docs/transcripts.md has it",
    "remelt evaluate compare": "needs two runs; tests/cli/test_evaluate.py makes them",
    "remelt evaluate card": "needs a run; tests/recipes/evaluation/test_card.py makes one",
    "hub:USER/NAME": "another account's dataset; tests/recipes/test_diff.py runs it",
}

# Python blocks that are compiled and not executed: a piece of the block -> why.
NOT_EXECUTED: dict[str, str] = {
    "import argilla": "needs an Argilla server",
    "whisper/large-v2": "loads a model of 3 GB; tests/recipes/test_transcribe.py runs it",
    "out/iemocap+meld": "reads what `remelt augment` would have made",
    "load_weights(model": "needs a trained model; tests/evaluation/training has one",
    ">>>": "a doctest, run as such",
}

# What is put in the place of a name that only works elsewhere; the corpora keep theirs.
INSTEAD: tuple[tuple[str, str], ...] = (
    (r"local/smollm2", "mock"),
    (r"openai/(NEW-)?MODEL", "openai/gpt-4o-2024-11-20"),
    (r"http://(gpu1|localhost):\d+/v1", "{chat}"),
    (r"http://gpu2:\d+/v1", "{twin}"),
    (r"--asr \S+", "--asr openai-asr/whisper-1 --base-url {ears}"),
    (r"/shared/OUT", "OUT"),
    (r"USER/NAME", "user/sample"),
)

# What people do before a command of a page: its beginning -> what is done (see `stage.DEEDS`).
BEFORE: dict[str, str] = {"remelt add-annotations out --from sheet.csv": "fill in sheet.csv"}

# Exit codes other than 0 that a command is meant to have.
CODES: dict[str, int] = {"remelt diff melt theirs --plain": 1}
