"""The options that MERITS-L has besides those of every training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ....errors import InputError, bad_value

TEXT_1, TEXT_2 = "text_stage1", "text_stage2"
SPEECH_1, SPEECH_2 = "speech_stage1", "speech_stage2"
FUSION, MERGED = "fusion_stage3", "merged"
STAGES = (TEXT_1, TEXT_2, SPEECH_1, SPEECH_2, FUSION, MERGED)
# What each stage reads.
NEEDS = {
    TEXT_1: (),
    TEXT_2: (TEXT_1,),
    SPEECH_1: (),
    SPEECH_2: (SPEECH_1,),
    FUSION: (TEXT_2, SPEECH_2),
    MERGED: (TEXT_1, SPEECH_1),
}
PLAIN = "plain"
AUTO = "auto"
ENCODERS = ("tuned", "frozen")
NOT_CARE = "not CARE"
SPEECH_ENCODERS = (NOT_CARE, "CARE")
ROWS = ("common", "own")


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A text encoder's pre-training.

    Attributes:
        name: in tables.
        folder: a dataset of sentiment labels, or a transformers model; None for the encoder as it is.
    """

    name: str
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class MeritsSettings:
    """The options of MERITS-L (Dutta & Ganapathy 2025); sizes that the paper leaves open are ours.

    Raises:
        InputError: a value that cannot be.
    """

    stages: str = field(
        default=AUTO,
        metadata={"help": "stages to report, with commas; auto: all that there are sound and words for"},
    )
    text_encoder: str = field(
        default="tuned", metadata={"choices": ENCODERS, "help": "whether stage I trains the text encoder"}
    )
    text_lr: float | None = field(
        default=None, metadata={"help": "learning rate of a tuned encoder; none: that of the rest"}
    )
    text_epochs: int | None = field(
        default=None, metadata={"help": "epochs of a tuned stage I; none: those of the other stages"}
    )
    pretrained: str = field(
        default="",
        metadata={
            "help": (
                "folders to pre-train the text encoder on (remelt build pseudo-sentiment) or load it from, "
                "with commas, each FOLDER or NAME=FOLDER; the later stages use the first"
            )
        },
    )
    pretrain_epochs: int = field(default=10, metadata={"help": "epochs of the pre-training"})
    pretrain_lr: float = field(default=1e-4, metadata={"help": "learning rate of the pre-training"})
    pretrain_batch: int = field(default=32, metadata={"help": "rows in a batch of the pre-training"})
    reference: str = field(
        default=AUTO,
        metadata={
            "help": (
                "labels that validation and test rows are scored with; auto: old, the corpus's own, whatever "
                "the training labels are"
            )
        },
    )
    rows: str = field(
        default="common",
        metadata={
            "choices": ROWS,
            "help": "common: train on rows labelled in all compared conditions; own: in the condition itself",
        },
    )
    hidden: int = field(default=256, metadata={"help": "width of the embeddings T1 and S1"})
    gru: int = field(default=256, metadata={"help": "width of the Bi-GRU in each direction"})
    heads: int = field(default=4, metadata={"help": "attention heads (4 to 8)"})
    dropout: float = field(default=0.3, metadata={"help": "share of values set to zero in training"})
    speech_encoder: str = field(
        default=NOT_CARE,
        metadata={
            "choices": SPEECH_ENCODERS,
            "help": "what --speech is: the paper's CARE, which is not published, or something else",
        },
    )
    speech_seconds: float = field(
        default=30.0, metadata={"help": "sound beyond this is cut off (MELD has a clip of 305 s)"}
    )

    def __post_init__(self) -> None:
        for name, choices in (
            ("text_encoder", ENCODERS),
            ("rows", ROWS),
            ("speech_encoder", SPEECH_ENCODERS),
        ):
            if getattr(self, name) not in choices:
                raise InputError(bad_value(name, getattr(self, name), choices))
        for stage in self.asked:
            if stage not in STAGES:
                raise InputError(bad_value("stage", stage, STAGES))
        for name in ("pretrain_epochs", "pretrain_batch", "text_epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"Bad {name} {value!r}, expected a whole number from 1")
        self.pretrainings()

    @property
    def asked(self) -> tuple[str, ...]:
        """The stages named; empty for auto."""
        if self.stages == AUTO:
            return ()
        return tuple(name.strip() for name in self.stages.split(",") if name.strip())

    def pretrainings(self) -> tuple[Pretrained, ...]:
        """The pre-trainings in the order given; empty for none.

        Raises:
            InputError: two of one name, or one called `plain`.
        """
        found: list[Pretrained] = []
        for part in filter(None, (part.strip() for part in self.pretrained.split(","))):
            name, sign, folder = part.partition("=")
            path = Path(folder if sign else part).expanduser()
            name = name.strip() if sign else path.resolve().name
            name = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
            if name == PLAIN or name in {one.name for one in found}:
                raise InputError(
                    f"Bad pretrained {part!r}: the name {name!r} is taken, write it as OTHERNAME=FOLDER"
                )
            found.append(Pretrained(name, path))
        return tuple(found)


def needed(stages: Sequence[str]) -> tuple[str, ...]:
    """The stages and those that they read, in the order of training.

    >>> needed(["text_stage2"])
    ('text_stage1', 'text_stage2')
    """
    wanted = set(stages)
    for stage in reversed(STAGES):
        if stage in wanted:
            wanted.update(NEEDS[stage])
    return tuple(stage for stage in STAGES if stage in wanted)
