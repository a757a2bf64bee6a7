"""The options that the hierarchy of speech and text has besides those of every training."""

from __future__ import annotations

from dataclasses import dataclass, field

from ....errors import InputError, bad_value

LSTM, W2V, W2V_ASR = "lstm", "w2v", "w2v_asr"
VARIANTS = (LSTM, W2V, W2V_ASR)
SPEECH_ONLY, WITH_TEXT = "s", "st"
INPUTS = (SPEECH_ONLY, WITH_TEXT)
AUTO, DEPENDENT, INDEPENDENT, BOTH, FOLDS, STANDARD = (
    "auto", "dependent", "independent", "both", "folds", "standard"
)  # fmt: skip
SPLITS = (AUTO, DEPENDENT, INDEPENDENT, BOTH, FOLDS, STANDARD)
NEUTRAL = "neutral"
HUMAN = "human"
STATES = ("embedding", "last", "weighted")
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of Alqurashi et al. 2024; sizes that the paper leaves to a search are ours.

    Raises:
        InputError: a value that cannot be.
    """

    variants: tuple[str, ...] = field(
        default=(LSTM,),
        metadata={
            "help": "speech models: lstm (on --speech), w2v, w2v_asr (wav2vec 2.0, also tuned for ASR)"
        },
    )
    inputs: tuple[str, ...] = field(
        default=INPUTS, metadata={"help": "s: speech alone; st: text is asked where speech says neutral"}
    )
    classes: tuple[str, ...] = field(
        default=("anger", "joy", NEUTRAL, "sadness"),
        metadata={"help": "the classes, neutral among them; rows with other labels are left out"},
    )
    split: str = field(
        default=AUTO,
        metadata={
            "choices": SPLITS,
            "help": (
                "dependent: 80/10/10 of all rows; independent: the last session's men validate and its women "
                "test, or folds of speakers where there are no sessions; both; folds: of speakers; standard: "
                "the corpus's own; auto: standard, independent or folds, whichever the corpus allows first"
            ),
        },
    )
    folds: int = field(default=5, metadata={"help": "of speakers; fewer where there are fewer speakers"})
    split_seed: int = field(default=0, metadata={"help": "of splits that are drawn; the same for all seeds"})
    thresholds: tuple[float, ...] = field(
        default=(0.25, 0.3, 0.35, 0.4), metadata={"help": "candidates, of which validation rows choose by UA"}
    )
    threshold: float | None = field(
        default=None, metadata={"help": "the threshold to use whatever validation rows say"}
    )
    reference: str = field(
        default=AUTO,
        metadata={"help": "labels that validation and test rows are scored with; auto: the corpus's own"},
    )
    words: str = field(default=HUMAN, metadata={"help": "human, or the name of transcripts"})
    text_states: str = field(
        default="last",
        metadata={
            "choices": STATES,
            "help": "of the text encoder: embedding (of its first layer), last, or a learnt sum of all",
        },
    )
    w2v: str = field(default="wav2vec2-base", metadata={"help": "encoder of the variant w2v"})
    w2v_asr: str = field(default="wav2vec2-base-960h", metadata={"help": "encoder of the variant w2v_asr"})
    w2v_tuned: bool = field(default=False, metadata={"help": "train the transformers of w2v and w2v_asr"})
    encoder_lr: float = field(default=1e-5, metadata={"help": "learning rate of a tuned transformer"})
    hidden: int = field(default=128, metadata={"help": "width of the LSTM's state"})
    width: int = field(default=64, metadata={"help": "between the two fully connected layers"})
    dropout: float = field(default=0.2, metadata={"help": "share of values set to zero in training"})
    speech_seconds: float = field(
        default=30.0, metadata={"help": "sound beyond this is cut off for learnt encoders"}
    )
    tune: int = field(
        default=0,
        metadata={"help": "trainings of each model among which Optuna looks for the best; 0 for none"},
    )

    def __post_init__(self) -> None:
        for name, choices in (("variants", VARIANTS), ("inputs", INPUTS)):
            found = getattr(self, name)
            for value in found:
                if value not in choices:
                    raise InputError(bad_value(name, value, choices))
            if not found or len(set(found)) < len(found):
                raise InputError(f"Bad {name} {list(found)!r}, expected one or more of {list(choices)!r}")
        for name, one_of in (("split", SPLITS), ("text_states", STATES)):
            if getattr(self, name) not in one_of:
                raise InputError(bad_value(name, getattr(self, name), one_of))
        if NEUTRAL not in self.classes or len(set(self.classes)) < max(_FEWEST, len(self.classes)):
            raise InputError(
                f"Bad classes {list(self.classes)!r}, expected {NEUTRAL!r} and two other classes or more"
            )
        asked = (*self.thresholds, *(() if self.threshold is None else (self.threshold,)))
        for value in asked:
            if not 0 <= value <= 1:
                raise InputError(f"Bad threshold {value!r}, expected a share from 0 to 1")
        if not asked:
            raise InputError("Bad thresholds [], expected one or more shares from 0 to 1")
        if self.folds < 2 or self.tune < 0:
            name, least = ("folds", 2) if self.folds < 2 else ("tune", 0)
            raise InputError(f"Bad {name} {getattr(self, name)!r}, expected a whole number from {least}")

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in alphabetical order, as in the columns of predictions."""
        return tuple(sorted(self.classes))

    @property
    def emotions(self) -> tuple[str, ...]:
        """The classes of M2."""
        return tuple(label for label in self.labels if label != NEUTRAL)

    def encoder(self, variant: str, speech: str | None) -> str:
        """The speech encoder of a variant.

        Args:
            speech: the run's, for `lstm`.

        Raises:
            InputError: `lstm` without one.
        """
        if variant != LSTM:
            return self.w2v if variant == W2V else self.w2v_asr
        if speech is None:
            raise InputError("The variant 'lstm' needs features of sound: name them with --speech")
        return speech


def variant_of(name: str) -> tuple[str, str]:
    """Speech model and input of a trial's variant.

    >>> variant_of("w2v_asr_st")
    ('w2v_asr', 'st')
    """
    speech, _, inputs = name.rpartition("_")
    return speech, inputs
