"""What may be published of a corpus: everything, its words, or labels and ids only.

The rules are data (`sharing.yaml`). They are a cautious reading of what the publishers of the corpora state,
and no legal advice: what is not known to be allowed is taken to be forbidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_SEPARATORS = re.compile(r"[\s_/()-]+")


@dataclass(frozen=True, slots=True)
class Sharing:
    """What may be passed on of a corpus beside labels and ids.

    Attributes:
        text: its words, and what quotes them.
        audio: its recordings.
        why: one sentence for the user, without a full stop.
        source: where that is stated; empty where nothing is.
    """

    text: bool
    audio: bool
    why: str
    source: str = ""

    @property
    def what(self) -> str:
        """What may be published, in a few words."""
        if self.text and self.audio:
            return "labels, text and audio"
        return "labels and text" if self.text else "labels and audio" if self.audio else "labels and ids only"

    @property
    def describe(self) -> str:
        """What may be published and why, as one sentence."""
        return f"{self.what}: {self.why}"


def sharing_of(licence: str, corpus: str) -> Sharing:
    """What may be published of a corpus.

    Both what is known of the corpus itself and what its licence allows must agree: a copy of IEMOCAP that
    somebody calls free stays IEMOCAP, and a corpus called `ravdess` under a contract stays under it.

    Args:
        licence: as the reader or the table's mapping states it.
        corpus: the corpus's name in utterance ids.

    >>> sharing_of("GPL-3.0", "meld").what, sharing_of("CC BY 4.0", "mine").what
    ('labels and text', 'labels, text and audio')
    >>> sharing_of("", "mine")
    Sharing(text=False, audio=False, why='no licence is stated', source='')
    """
    by_licence, by_corpus = _of_licence(licence), _of_corpus(corpus)
    if by_corpus is None:
        return by_licence
    text, audio = by_corpus.text and by_licence.text, by_corpus.audio and by_licence.audio
    # The one that forbids has the say, and of two that say the same the corpus's own.
    stricter = (text, audio) != (by_corpus.text, by_corpus.audio)
    said = by_licence if stricter else by_corpus
    return Sharing(text, audio, said.why, said.source)


def shareable(licence: str, corpus: str = "") -> bool:
    """Whether a corpus's recordings are known to be free to be passed on.

    >>> shareable("CC BY-NC-SA 4.0"), shareable("GPL-3.0"), shareable("")
    (True, False, False)
    """
    return sharing_of(licence, corpus).audio


@lru_cache(maxsize=1)
def rules() -> Mapping[str, Any]:
    """The content of `sharing.yaml`."""
    import yaml

    content: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return content


def _of_licence(licence: str) -> Sharing:
    name = _SEPARATORS.sub(" ", licence.casefold()).strip()
    if name in ("", "unknown"):
        return Sharing(False, False, "no licence is stated")
    for rule in rules()["licences"]:
        if re.fullmatch(rule["pattern"], name):
            return _sharing(rule)
    return Sharing(False, False, f"the licence {licence.strip()!r} is not known to allow passing it on")


def _of_corpus(corpus: str) -> Sharing | None:
    name = re.sub(r"[^a-z0-9]+", "_", corpus.casefold()).strip("_")
    for known, rule in rules()["corpora"].items():
        found = _sharing(rule)
        # One that is forbidden is known by how its name begins (`IEMOCAP4`), so that no spelling frees it.
        loose = not found.text and name.replace("_", "").startswith(known.replace("_", ""))
        if loose or name == known or name.startswith(f"{known}_"):
            return found
    return None


def _sharing(rule: Mapping[str, Any]) -> Sharing:
    return Sharing(bool(rule["text"]), bool(rule["audio"]), str(rule["why"]), str(rule["source"]))
