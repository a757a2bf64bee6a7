"""What can be set in the regression of arousal, valence and dominance."""

from __future__ import annotations

from dataclasses import dataclass, field

from ....errors import InputError, bad_value

AUDIO, FT, FRZ = "audio", "audio_text", "audio_text_frozen"
LAYERS = "layers"
VARIANTS = (AUDIO, FT, FRZ, LAYERS)
DIMENSIONS = ("arousal", "valence", "dominance")
POOLINGS = ("mean_max", "mean", "max", "concat")
STATES = ("last", "weighted")
PROTOCOLS = ("auto", "standard", "session", "speaker")
AUTO, NONE, ALL = "auto", "none", "all"


def _choice(default: str, choices: tuple[str, ...], text: str) -> str:
    found: str = field(default=default, metadata={"choices": choices, "help": text})
    return found


@dataclass(frozen=True)
class Settings:
    """The system's own options.

    Attributes:
        variants: which models, with commas: `audio`; `audio_text`, both encoders trained together (the
            paper's FT); `audio_text_frozen`, the audio model trained alone, then frozen, then a new head on
            it and on a frozen text encoder (FT=>FRZ); `layers`, one audio model per dimension on a frozen
            encoder, whose weights over the layers are the result (section 4.3).
        dimensions: what is predicted, with commas.
        pooling: over time; see `models.audio_text_regressor`.
        states: of the encoders: the `last` ones, or a `weighted` sum of all.
        normalise: whether each state is brought to zero mean and unit variance; the paper does not.
        speech_tuned, text_tuned: whether the transformers are trained.
        hidden: width between the fully connected layers; 0 for that of the joined vector.
        dropout: before each of them.
        max_seconds: longer sound is cut; 0 for none.
        layers_encoder: the frozen encoder of `layers`.
        layers_rate: learning rate of the weights over layers, in multiples of the others'.
        words: `auto` (the corpus's own, else the first transcripts), `human`, or the name of transcripts.
        asr: transcripts that models with text are tested on as well: `all`, `none`, or names with commas.
        protocol: `standard` (the corpus's splits), `session` or `speaker` (folds); `auto` takes the first
            that the rows allow.
        folds: of speakers; 0 for one fold per speaker.
        targets: a CSV or TSV file with a column `id` and one per dimension, instead of the corpus's own
            ratings; empty for none. Its scale is that of `--scale`, else 0 to 1.
    """

    variants: tuple[str, ...] = field(
        default=(AUDIO, FT, FRZ), metadata={"help": f"of {', '.join(VARIANTS)}, with commas"}
    )
    dimensions: tuple[str, ...] = field(default=DIMENSIONS, metadata={"help": "what is predicted"})
    pooling: str = _choice("mean_max", POOLINGS, "over time")
    states: str = _choice("last", STATES, "hidden states that are pooled")
    normalise: bool = field(default=False, metadata={"help": "zero mean and unit variance of each state"})
    speech_tuned: bool = field(default=True, metadata={"help": "train the speech transformer"})
    text_tuned: bool = field(default=True, metadata={"help": "train the text transformer"})
    hidden: int = field(default=0, metadata={"help": "width of the head; 0 for the joined vector's"})
    dropout: float = field(default=0.1, metadata={"help": "in the head"})
    max_seconds: float = field(default=0.0, metadata={"help": "longer sound is cut; 0 for none"})
    layers_encoder: str = field(default="hubert-base", metadata={"help": "frozen encoder of 'layers'"})
    layers_rate: float = field(default=1.0, metadata={"help": "learning rate of layer weights, in multiples"})
    words: str = field(default=AUTO, metadata={"help": "auto, human, or the name of transcripts"})
    asr: tuple[str, ...] = field(
        default=(ALL,), metadata={"help": "transcripts to test on: all, none, names"}
    )
    protocol: str = _choice(AUTO, PROTOCOLS, "how rows are divided")
    folds: int = field(default=5, metadata={"help": "of speakers; 0 for one per speaker"})
    targets: str = field(default="", metadata={"help": "CSV or TSV file: id, one column per dimension"})

    def __post_init__(self) -> None:
        for name, choices in (("pooling", POOLINGS), ("states", STATES), ("protocol", PROTOCOLS)):
            if getattr(self, name) not in choices:
                raise InputError(bad_value(name, getattr(self, name), choices))
        for variant in self.variants:
            if variant not in VARIANTS:
                raise InputError(bad_value("variant", variant, VARIANTS))
        for name in ("variants", "dimensions"):
            found = getattr(self, name)
            if not found or len(set(found)) < len(found):
                raise InputError(f"Bad {name} {list(found)!r}, expected one or more different names")
        if not 0 <= self.dropout < 1:
            raise InputError(f"Bad dropout {self.dropout!r}, expected a share from 0 to below 1")
        if self.hidden < 0 or self.max_seconds < 0 or self.layers_rate <= 0:
            raise InputError(
                f"Bad hidden {self.hidden!r}, max_seconds {self.max_seconds!r} or layers_rate "
                f"{self.layers_rate!r}, expected numbers from 0 (layers_rate: above 0)"
            )
        if self.folds < 0 or self.folds == 1:
            raise InputError(f"Bad folds {self.folds!r}, expected 0 or a whole number from 2")

    @property
    def reads(self) -> bool:
        """Whether any variant needs words."""
        return bool({FT, FRZ} & set(self.variants))
