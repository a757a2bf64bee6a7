"""Trains the small model and dies in the middle of an epoch, as a power cut would have it.

python -m evaluation.training.killed FOLDER BATCH
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from .small import train


class Dying:
    """Kills its own process, without any handler, once so many batches are done."""

    def __init__(self, after: int) -> None:
        self.after = after

    def notice(self, text: str) -> None: ...

    def counted(self, done: int, total: int, what: str) -> None:
        if done == self.after:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), watch=Dying(int(sys.argv[2])))
