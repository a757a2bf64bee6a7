"""From what a file of annotations says to annotations of a dataset's utterances."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...labels import LABEL_MAPS, LabelSet
from ...records import Annotation, Reply, Utterance, canonical_json, digest
from .additions import Addition, request_of

if TYPE_CHECKING:
    from ...exchange import Given

MEANS = "import"
_SHOWN = 5
_NUMBER = re.compile(r"\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Matched:
    """What a file says of the utterances of a dataset.

    Attributes:
        givens: source as it will be published -> utterance id -> what it gave.
        unknown: ids that the dataset does not have.
        dropped: ids that the selection has dropped.
    """

    givens: Mapping[str, Mapping[str, Given]]
    unknown: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def match(
    givens: Iterable[Given], utterances: Sequence[Utterance], dropped: Iterable[Utterance], names: Names
) -> Matched:
    """Finds the utterance behind every id of a file.

    Args:
        givens: as a reader of `exchange` gives them.
        utterances: those that can be annotated.
        dropped: those that the selection has dropped.
        names: how sources are called.

    Raises:
        InputError: the same id twice from one source, or no id that the dataset has.
    """
    known, gone = _Finder(utterances), _Finder(dropped)
    found: dict[str, dict[str, Given]] = {}
    unknown: dict[str, None] = {}
    left: dict[str, None] = {}
    for given in givens:
        identity = known.find(given)
        if identity is None:
            (left if gone.find(given) else unknown)[given.utterance_id] = None
            continue
        name = names.public(given)
        mine = found.setdefault(name, {})
        if identity in mine:
            raise InputError(
                f"{given.place}: {identity} comes twice from {given.source or name!r}, first "
                f"in {mine[identity].place}"
            )
        mine[identity] = given
    if not found and (unknown or left):
        raise InputError(
            f"None of the {len(unknown) + len(left)} ids in the file is that of an utterance to label, such "
            f"as {shown([*unknown, *left])}; the dataset has {shown([u.id for u in utterances])}"
        )
    return Matched(found, tuple(unknown), tuple(left))


class _Finder:
    """An utterance's id by what files call it: the id, the id without the corpus, or its clip's name."""

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        self._ids: dict[str, str] = {}
        clips: dict[str, list[str]] = {}
        for row in utterances:
            self._ids[row.id] = row.id
            self._ids.setdefault(row.id.partition("/")[2], row.id)
            if row.clip:
                path = Path(row.clip)
                for name in {row.clip, path.name, path.stem}:
                    clips.setdefault(name, []).append(row.id)
        self._clips = clips

    def find(self, given: Given) -> str | None:
        """The id.

        Raises:
            InputError: a clip's name that several utterances have.
        """
        name = given.utterance_id
        if name in self._ids:
            return self._ids[name]
        found = self._clips.get(name) or self._clips.get(Path(name).name) or []
        if len(found) > 1:
            raise InputError(
                f"{given.place}: the clip {name!r} is that of several utterances: {shown(found)}"
            )
        return found[0] if found else None


class Names:
    """How the sources of a file are called in the dataset.

    A number or an account's id becomes `annotator-ID`. An address is personal, and published names are for
    everybody: it becomes `annotator-` and eight digits that only who has the dataset's secret can make, so
    that nobody finds out by trying addresses whose it is.

    Args:
        path: the file; its name is that of a source that the file does not name.
        wanted: `NAME` for the one source of the file, or `THEIRS=NAME` for one of several.
        secret: gives the dataset's secret; called only where the file has an address.

    Raises:
        InputError: a name is given twice, or both forms are mixed.
    """

    def __init__(self, path: Path, wanted: Sequence[str], secret: Callable[[], str]) -> None:
        self._path = path
        self._secret = secret
        pairs = [name.partition("=") for name in wanted]
        self._own = {theirs: name for theirs, sign, name in pairs if sign}
        whole = [theirs for theirs, sign, _ in pairs if not sign]
        if len(whole) > 1 or (whole and self._own) or len(self._own) + len(whole) < len(wanted):
            raise InputError(f"Bad sources {list(wanted)!r}, expected one NAME, or THEIRS=NAME for each")
        self._whole = whole[0] if whole else None
        self._used: set[str] = set()
        self._theirs: dict[str, str] = {}
        self.notices: list[str] = []

    def public(self, given: Given) -> str:
        """The name of who gave a label.

        Raises:
            InputError: two sources of the file would have the same name.
        """
        theirs = given.source
        self._used.add(theirs)
        name = self._whole or self._own.get(theirs) or self._made(theirs)
        if self._theirs.setdefault(name, theirs) != theirs:
            raise InputError(
                f"{given.place}: {theirs!r} and {self._theirs[name]!r} are both called {name!r}; name each "
                "with --source THEIRS=NAME"
            )
        return name

    def check(self) -> None:
        """Refuses names for sources that the file does not have.

        Raises:
            InputError: a `THEIRS=NAME` for nobody.
        """
        for theirs in self._own:
            if theirs not in self._used:
                raise InputError(f"{self._path}: {bad_value('source', theirs, sorted(self._used))}")

    def _made(self, theirs: str) -> str:
        if not theirs:
            return self._path.stem or self._path.name
        if "@" in theirs:
            address = theirs.strip().casefold().encode()
            digits = hmac.new(self._secret().encode(), address, hashlib.sha256).hexdigest()[:8]
            name = f"annotator-{digits}"
            told = (
                f"{name} stands for an address, which is not published; --source ADDRESS=NAME gives it a name"
            )
            if told not in self.notices:
                self.notices.append(told)
            return name
        return f"annotator-{theirs}" if _NUMBER.fullmatch(theirs) else theirs


@dataclass(frozen=True)
class Labelling:
    """How the labels of a file are understood.

    Attributes:
        labels: the dataset's label set.
        corpus: the corpus whose names they are in; None for the label set's own.
        skip_unknown: whether labels off the list are kept as invalid votes.
    """

    labels: LabelSet
    corpus: str | None = None
    skip_unknown: bool = False

    def __post_init__(self) -> None:
        if self.corpus is not None and self.corpus not in LABEL_MAPS:
            raise InputError(bad_value("corpus of labels", self.corpus, LABEL_MAPS))

    def read(self, given: Given) -> str | None:
        """The label as answer schemas spell it; None for one that is on no list.

        Raises:
            InputError: it is on no list, and that is not to be skipped.
        """
        label: str | None
        if self.corpus is None:
            label = self.labels.parse(given.label)
            choices: Iterable[str] = self.labels.labels
        else:
            known = LABEL_MAPS[self.corpus]
            own = given.label.strip().casefold()
            label = known.to_common.get(own)
            label = label if label in self.labels.labels else None
            choices = sorted(name for name, to in known.to_common.items() if to in self.labels.labels)
        if label is None and not self.skip_unknown:
            raise InputError(
                f"{given.place}: {bad_value('label', given.label, choices)}; --skip-unknown keeps such votes "
                "as invalid, --labels-of CORPUS reads a corpus's own names"
            )
        return None if label is None else self.labels.spelled(label)


def additions(
    matched: Matched,
    utterances: Sequence[Utterance],
    labelling: Labelling,
    about: Mapping[str, Any],
    created: str,
) -> list[Addition]:
    """The sources of a file with their annotations.

    Args:
        matched: see `match`.
        utterances: those that can be annotated, in the order of the dataset.
        labelling: how the labels are understood.
        about: what every member's record says of the file: `file`, `sha256`, `format`.
        created: UTC time in ISO 8601.

    Raises:
        InputError: a label that is on no list.
    """
    from ... import answers

    found = []
    for source, givens in matched.givens.items():
        raws, unread = {}, Counter[str]()
        for identity, given in givens.items():
            label = labelling.read(given)
            if label is None:
                unread[given.label] += 1
            raws[identity] = _raw(given, given.label if label is None else label)
        rich = any(g.confidence is not None or g.note for g in givens.values())
        name = "given" if rich else "label"
        schema = answers.load_schema(name, labelling.labels)
        checker = answers.Checker(schema, labelling.labels)
        kinds = {given.kind for given in givens.values()}
        if len(kinds) > 1:
            raise InputError(f"{source!r} is a person in one row and a model in another; --kind says which")
        member = {
            "name": source,
            "kind": "human" if kinds == {"human"} else "import",
            "model": source,
            # The rows as they were read: another label column of the same file is another source.
            "endpoint": f"sha256:{digest([about['sha256'], sorted(raws.items())])}",
            "parameters": {},
            "notices": _notices(unread),
            "prompt": None,
            "schema": {"name": name, "json": schema},
            **about,
            "votes": len(givens) - unread.total(),
        }
        annotations = []
        for utterance in utterances:
            if utterance.id in raws:
                request = request_of(member, utterance)
                reply = Reply(
                    request.key, utterance.id, 0, raws[utterance.id], source, MEANS, created=created
                )
                annotations.append(Annotation(request, (reply,), (checker.check(request, reply),)))
        found.append(Addition(member, annotations))
    return found


def _raw(given: Given, label: str) -> str:
    answer: dict[str, Any] = {"label": label}
    if given.confidence is not None:
        answer["confidence"] = given.confidence
    if given.note:
        answer["note"] = given.note
    return canonical_json(answer)


def _notices(unread: Mapping[str, int]) -> list[str]:
    if not unread:
        return []
    told = ", ".join(f"{label!r} ({count})" for label, count in sorted(unread.items()))
    return [f"{sum(unread.values()):,} labels are not on the list and no votes: {told}"]


def shown(names: Sequence[str]) -> str:
    """The first five of some names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
