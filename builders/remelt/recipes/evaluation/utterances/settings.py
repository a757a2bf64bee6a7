"""What can be set in the systems that tell classes from single utterances."""

from __future__ import annotations

from dataclasses import dataclass, field

from ....errors import InputError, bad_value

SPEECH, TEXT = "speech", "text"
FROZEN, TUNED = "frozen", "tuned"
POOLINGS = ("mean", "max", "mean_std", "mean_max", "concat")
AUTO, NONE = "auto", "none"
# How the rows of a corpus are divided: its own splits, sessions, or speakers.
SPLITS, SESSIONS, SPEAKERS = "splits", "sessions", "speakers"
UNSEEN = ("refuse", "tell")
# The variants of Feng and Narayanan's table 3.
ALONE, HUMAN_WORDS, ASR_WORDS = "speech", "speech_text_human", "speech_text_asr"
VARIANTS = (ALONE, HUMAN_WORDS, ASR_WORDS)


def _choice(default: str, choices: tuple[str, ...], text: str) -> str:
    found: str = field(default=default, metadata={"choices": choices, "help": text})
    return found


def _check(settings: object, **choices: tuple[str, ...]) -> None:
    for name, known in choices.items():
        if getattr(settings, name) not in known:
            raise InputError(bad_value(name, getattr(settings, name), known))


def _check_head(width: int, dropout: float, seconds: float, folds: int) -> None:
    if width < 1:
        raise InputError(f"Bad width {width!r}, expected a whole number from 1")
    if not 0 <= dropout < 1:
        raise InputError(f"Bad dropout {dropout!r}, expected a share from 0 to below 1")
    if seconds < 0:
        raise InputError(f"Bad number of seconds {seconds!r}, expected one from 0 (0: no limit)")
    if folds < 0 or folds == 1:
        raise InputError(f"Bad folds {folds!r}, expected 0 (one per speaker) or a whole number from 2")


@dataclass(frozen=True)
class MeltSettings:
    """Options of `systems.melt`.

    Attributes:
        modality: `speech`, the paper's system; `text`, the same head on a text encoder, for corpora without
            clips (not the paper's system).
        backbone: `frozen`, or `tuned`: the transformer is trained too. The paper says fine-tuning and
            describes a weighted sum with a learning rate of 1e-3, which would wreck a tuned transformer.
        pooling: over time.
        width: of the hidden layer.
        dropout: before both layers.
        crop_seconds: longer clips are cut to this at a random place in training; 0 for whole clips.
        inside: the test on the source itself: its own `splits`, folds of `sessions` or `speakers`, `none`;
            `auto` takes the first that there is.
        folds: of speakers; 0 for one fold per speaker.
        unseen: classes of a test without (or with one) training row: `refuse` or `tell`.
    """

    modality: str = _choice(SPEECH, (SPEECH, TEXT), "what the model gets; the paper's is speech")
    backbone: str = _choice(FROZEN, (FROZEN, TUNED), "the encoder's transformer")
    pooling: str = _choice("mean", POOLINGS, "over time")
    width: int = field(default=256, metadata={"help": "of the hidden layer"})
    dropout: float = field(default=0.2, metadata={"help": "before both layers"})
    crop_seconds: float = field(default=5.0, metadata={"help": "random crop in training; 0 for none"})
    inside: str = _choice(AUTO, (AUTO, SPLITS, SESSIONS, SPEAKERS, NONE), "the test on the source itself")
    folds: int = field(default=5, metadata={"help": "of speakers; 0 for one fold per speaker"})
    unseen: str = _choice("refuse", UNSEEN, "classes without training rows")

    def __post_init__(self) -> None:
        _check(
            self,
            modality=(SPEECH, TEXT),
            backbone=(FROZEN, TUNED),
            pooling=POOLINGS,
            inside=(AUTO, SPLITS, SESSIONS, SPEAKERS, NONE),
            unseen=UNSEEN,
        )
        _check_head(self.width, self.dropout, self.crop_seconds, self.folds)


@dataclass(frozen=True)
class VoteSettings:
    """Options of `systems.transcribe_vote`.

    Attributes:
        variants: which models, with commas; empty for all that the rows allow. `speech`;
            `speech_text_human`, trained with the corpus's own words; `speech_text_asr`, trained with a
            recogniser's. Each is tested with the words it was trained with, and with the other kind too.
        transcripts: name of the recogniser's transcripts; empty where there is one.
        classes: those that are told apart, with commas; empty for all. The paper has four.
        reference: whose labels validate and test; `auto` for the corpus's own, else those trained on.
        validate_on: whether the epoch is chosen by the `reference` labels, or by the `own` ones, those that
            are trained on: who has only a model's labels has no others.
        rows: `own`: each condition trains on the rows that it has a label for, as in the paper; `common`: on
            those that all conditions have.
        protocol: `splits`, `sessions` (one session tests, the next one validates) or `speakers`; `auto` takes
            the first that there is, sessions first.
        folds: of speakers; 0 for one fold per speaker.
        augment: a corpus or dataset (`meld=DIR`, `DIR`) whose rows are added to the training rows; empty
            for none. A folder of `remelt augment` is given as the source instead.
        augment_labels: their labels; `auto` for the new ones, else the corpus's own.
        backbone: `frozen` or `tuned` transformers.
        pooling: over time.
        width, heads, dropout: see `models.cross_attention.AttentionOptions`.
        max_seconds: of a clip; what is longer is cut off. 0 for no limit.
        unseen: classes of a test without (or with one) training row: `refuse` or `tell`.
    """

    variants: tuple[str, ...] = field(
        default=(), metadata={"help": f"of {', '.join(VARIANTS)}; all if empty"}
    )
    transcripts: str = field(default="", metadata={"help": "name of the recogniser's transcripts"})
    classes: tuple[str, ...] = field(default=(), metadata={"help": "that are told apart; all if empty"})
    reference: str = field(default=AUTO, metadata={"help": "whose labels validate and test"})
    validate_on: str = _choice("own", ("own", "reference"), "labels that choose the epoch")
    rows: str = _choice("own", ("own", "common"), "rows that each condition trains on")
    protocol: str = _choice(AUTO, (AUTO, SPLITS, SESSIONS, SPEAKERS), "how the rows are divided")
    folds: int = field(default=5, metadata={"help": "of speakers; 0 for one fold per speaker"})
    augment: str = field(default="", metadata={"help": "source whose rows are added to training"})
    augment_labels: str = field(default=AUTO, metadata={"help": "labels of the added rows"})
    backbone: str = _choice(FROZEN, (FROZEN, TUNED), "the encoders' transformers")
    pooling: str = _choice("mean", POOLINGS, "over time")
    width: int = field(default=256, metadata={"help": "common width of both modalities"})
    heads: int = field(default=4, metadata={"help": "of each attention"})
    dropout: float = field(default=0.2, metadata={"help": "in projections, attention and classifier"})
    max_seconds: float = field(default=15.0, metadata={"help": "of a clip; 0 for no limit"})
    unseen: str = _choice("refuse", UNSEEN, "classes without training rows")

    def __post_init__(self) -> None:
        for variant in self.variants:
            if variant not in VARIANTS:
                raise InputError(bad_value("variant", variant, VARIANTS))
        if len(set(self.variants)) < len(self.variants):
            raise InputError(f"Bad variants {list(self.variants)!r}: one stands there twice")
        _check(
            self,
            validate_on=("own", "reference"),
            rows=("own", "common"),
            protocol=(AUTO, SPLITS, SESSIONS, SPEAKERS),
            backbone=(FROZEN, TUNED),
            pooling=POOLINGS,
            unseen=UNSEEN,
        )
        _check_head(self.width, self.dropout, self.max_seconds, self.folds)
        if self.heads < 1 or self.width % self.heads:
            raise InputError(
                f"Bad width {self.width!r} for {self.heads!r} heads, expected a multiple of them"
            )
