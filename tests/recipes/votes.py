"""A small dataset by three label files, so that every vote is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remelt.recipes.finishing import BuildResult
from remelt.recipes.options import BuildOptions, Member
from remelt.recipes.transcribe_vote import VoteOptions, build

from ..builders import write_meld

# What three models say of each row in turn, and what that comes to; the rows' own labels are joy, neutral
# and anger in turn.
VOTES: Sequence[tuple[tuple[str, str, str], str]] = (
    (("joy", "joy", "joy"), "joy"),
    (("neutral", "neutral", "sadness"), "neutral"),
    (("anger", "joy", "sadness"), "no_majority"),
    (("other", "other", "joy"), "rejected"),
    (("joy", "joy", "other"), "joy"),
    (("frustrated", "anger", "anger"), "anger"),
    (("frustrated", "joy", "neutral"), "tie"),
    (("frustrated", "frustrated", "frustrated"), "invalid_answer"),
    (("sadness", "sadness", "neutral"), "sadness"),
)
ROWS = 30
NAMES = ("a", "b", "c")
LABELS = ("joy", "neutral", "anger")


def label_files(folder: Path, corpus: str = "meld", rows: int = ROWS) -> tuple[Member, ...]:
    """The three annotators: replayed label files."""
    members = []
    for place, name in enumerate(NAMES):
        lines = [
            f"{corpus}/train/dia{n // 10}_utt{n % 10},{VOTES[n % len(VOTES)][0][place]}" for n in range(rows)
        ]
        path = folder / f"{name}.csv"
        path.write_text("\n".join(["id,label", *lines]) + "\n", encoding="utf-8")
        members.append(Member(f"replay:{path}", name))
    return tuple(members)


def voted(folder: Path, vote: VoteOptions | None = None, **changes: Any) -> BuildResult:
    """A dataset of `ROWS` rows in MELD's layout."""
    corpus = write_meld(folder / "corpus", ROWS)
    values = {"corpus": str(corpus), "out": folder / "out", "annotator": label_files(folder), **changes}
    return build(BuildOptions(**values), vote)
