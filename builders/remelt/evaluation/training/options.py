"""How a model is trained."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError, bad_value

OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "linear", "cosine")
KEEPS = ("best", "last")
# Of validation rows; the larger the better, but for the loss.
MONITORS = ("uar", "accuracy", "macro_f1", "weighted_f1", "ccc", "loss")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a model is trained.

    Attributes:
        optimizer: `adam` or `adamw`.
        lr: learning rate.
        weight_decay: of the optimizer.
        batch_size: rows in a batch; dialogues for conversation models.
        epochs: at most.
        patience: epochs without a better `monitor` after which training stops; None for all epochs.
        keep: the weights that are tested: of the epoch with the best `monitor`, or the last one.
        monitor: what is watched on the validation rows.
        schedule: of the learning rate: `constant`, `linear` or `cosine` down to 0.
        warmup: share of all steps over which the learning rate rises from 0.
        clip: largest norm of the gradient; None for no limit.
        class_weights: whether rare classes weigh more in the loss (n / (classes * n_class)).
        precision: of forward and backward on a GPU; `auto` is bf16 where the GPU has it, else fp16. A
            processor always computes in fp32.
        device: `cpu`, `cuda`, `cuda:1`; None for a GPU where there is one.
        threads: of the processor; None for torch's own choice.

    Raises:
        InputError: a value that cannot be.
    """

    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 32
    epochs: int = 30
    patience: int | None = None
    keep: str = "best"
    monitor: str = "uar"
    schedule: str = "constant"
    warmup: float = 0.0
    clip: float | None = None
    class_weights: bool = False
    precision: str = "auto"
    device: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("keep", KEEPS),
            ("monitor", MONITORS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise InputError(bad_value(name, getattr(self, name), choices))
        for name in ("batch_size", "epochs", "patience", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"Bad {name} {value!r}, expected a whole number from 1")
        if not 0 < self.lr < 1:
            raise InputError(f"Bad lr {self.lr!r}, expected a learning rate between 0 and 1")
        if not 0 <= self.warmup < 1:
            raise InputError(f"Bad warmup {self.warmup!r}, expected a share of the steps from 0 to below 1")
        if self.weight_decay < 0:
            raise InputError(f"Bad weight_decay {self.weight_decay!r}, expected a number from 0")
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"Bad clip {self.clip!r}, expected a number above 0")
