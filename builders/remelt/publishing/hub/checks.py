"""What the Hub would refuse or take badly, found before anything is sent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ... import resources
from ..layout import CARD
from ..problem import Problem

# https://huggingface.co/docs/hub/storage-limits
LARGEST_FILE = 50 * 10**9
ADVISED_FILE = 20 * 10**9
MOST_IN_FOLDER = 10_000
MOST_FILES = 100_000
# More than this in one commit is slow at the Hub; one commit is kept so that no half version shows.
ADVISED_FILES = 1_000
_CREATORS = ("crowdsourced", "expert-generated", "found", "machine-generated", "no-annotation", "other")
_MULTILINGUALITY = ("monolingual", "multilingual", "other", "translation")
_TAG = 64
_FRONT_MATTER = re.compile(r"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*\r?\n", re.DOTALL)


def hub_problems(files: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Files that the Hub refuses for their size, number or name.

    Args:
        files: the manifest's entry by the file's path (see `files_to_publish`).
    """
    for path, entry in files.items():
        if entry["bytes"] > LARGEST_FILE:
            yield Problem(path, f"has {entry['bytes']:,} bytes; the Hub takes {LARGEST_FILE:,} in a file")
        if ".git" in PurePosixPath(path).parts:
            yield Problem(path, "the Hub takes no file under .git")
    folders = Counter(str(PurePosixPath(path).parent) for path in files)
    for folder, count in folders.items():
        if count > MOST_IN_FOLDER:
            yield Problem(folder, f"has {count:,} files; the Hub takes {MOST_IN_FOLDER:,} in a folder")
    if len(files) > MOST_FILES:
        yield Problem("", f"there are {len(files):,} files; the Hub takes {MOST_FILES:,} in a dataset")


def hub_warnings(files: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What the Hub takes, but advises against."""
    large = [path for path, entry in files.items() if entry["bytes"] > ADVISED_FILE]
    if large:
        yield f"files of more than {ADVISED_FILE // 10**9} GB are slow at the Hub: {', '.join(large[:3])}"
    if len(files) > ADVISED_FILES:
        yield f"{len(files):,} files in one commit are slow at the Hub"


def front_matter_of(out: Path) -> dict[str, Any]:
    """What the YAML at the head of a card says; empty where there is none that can be read."""
    import yaml

    found = _FRONT_MATTER.match((out / CARD).read_text(encoding="utf-8", errors="replace"))
    # The library's own reader takes most of a second for the features of a card.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(found[1], Loader=loader) if found else None
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}


def card_checks(out: Path) -> Iterator[Problem]:
    """What the Hub would refuse in the front matter of a card in which `find_problems` found nothing.

    That has looked at licence, size, task, features and configs; these are the closed lists of languages,
    creators and multilinguality, and tags that the Hub could not show.
    """
    data = front_matter_of(out)
    for key, choices in (("annotations_creators", _CREATORS), ("multilinguality", _MULTILINGUALITY)):
        for value in data.get(key) or ():
            if value not in choices:
                yield Problem(CARD, f"{key} has {value!r}, expected one of {list(choices)!r}")
    for code in data.get("language") or ():
        if len(code) == 2 and code not in two_letter_languages():
            yield Problem(CARD, f"language {code!r} is no code of ISO 639-1")
    for tag in data.get("tags") or ():
        if not isinstance(tag, str) or not 0 < len(tag) <= _TAG or not tag.isprintable():
            yield Problem(CARD, f"tag {tag!r} is no text of 1 to {_TAG} letters")
    if not isinstance(data.get("pretty_name"), str):
        yield Problem(CARD, f"pretty_name is {data.get('pretty_name')!r}, expected a text")


def two_letter_languages() -> frozenset[str]:
    """The codes of ISO 639-1 (cards/hub-languages.txt); longer ones are taken as they are."""
    return frozenset(resources.read("cards", "hub-languages.txt").split())
