"""Adds annotations made elsewhere to a published dataset, or takes them out again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...journal import FILE, Journal, OutLock
from ...records import Annotation, Utterance
from ..annotation import quarantined
from ..finishing import BuildResult, finish
from ..panel.content import Standing, panel_content, rule_of, tell_notes
from ..rebuild import keep_replies, published_content
from ..reporting import Reporter
from ..resolving import check_people, check_quorum, ratings_for
from ..workspace import workspace
from . import given as giving
from .additions import KINDS, Addition, keep_members
from .keeping import all_or_nothing, name_secret, recover, settled

if TYPE_CHECKING:
    from ...exchange.base import Kind
    from ...publishing import DatasetContent
    from ...resolution.base import ResolutionOptions

_NOT_ASKED = "not_asked"


@dataclass(frozen=True)
class AddOptions:
    """What is added, and how it is read.

    Attributes:
        file: the file or folder; None to add nothing (to remove, or to resolve anew).
        form: its format (see `exchange.formats`); None to find it.
        sources: names for the file's sources: `NAME`, or `THEIRS=NAME` for each of several.
        kind, label_columns, id_column, split, each: see `exchange.ReadOptions`.
        labels_of: the corpus whose names the labels are in; None for the dataset's own.
        skip_unknown: keep labels off the list as invalid votes.
        replace: take the place of sources of the same name that were added before.
        remove: names of added sources to take out.
        resolution: how votes become a label, from now on: builds keep to it, too. None for the rule that
            holds, else for `first`.
        to: another folder to write to, which leaves the dataset as it is; None for the dataset itself.
    """

    file: Path | None = None
    form: str | None = None
    sources: tuple[str, ...] = ()
    kind: Kind | None = None
    label_columns: tuple[str, ...] = ()
    id_column: str | None = None
    split: str | None = None
    each: bool = False
    labels_of: str | None = None
    skip_unknown: bool = False
    replace: bool = False
    remove: tuple[str, ...] = ()
    resolution: ResolutionOptions | None = None
    to: Path | None = None


def add_annotations(out: str | Path, options: AddOptions, reporter: Reporter | None = None) -> BuildResult:
    """Adds the sources of a file to a dataset and publishes it again with what all votes come to.

    Nobody is asked anything. Where it does not come to its end, the dataset stays as it was and the same
    call can be made again.

    Args:
        out: a published dataset.
        options: see `AddOptions`.
        reporter: is told what happens.

    Raises:
        InputError: the dataset or the file cannot be used, a source that is there already, a label that is
            not on the list, or a rule that cannot be used.
        Interrupted: the disk is full.
    """
    reporter = reporter or Reporter()
    out = Path(out)
    to = Path(options.to) if options.to is not None else out
    if to.resolve() == out.resolve():
        to = out
    if to == out and (out / "manifest.json").is_file() and not (out / ".remelt").is_dir():
        raise InputError(
            f"{out} came without its journal; add to a copy with --out OUT2, or make one first with "
            f"`remelt rebuild {out} --out OUT2`"
        )
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with _target(out, to) as journal:
        content, members = _change(out, options, created, reporter)
        _tell_silent(content, reporter)
        added = [member for member in members if member["kind"] in KINDS]
        keep_replies(journal, content.annotations)
        with all_or_nothing(to, created) if (to / "manifest.json").is_file() else contextlib.nullcontext():
            keep_members(to, added)
            return finish(to, replace(content, created=created), _stats(content), reporter)


@contextlib.contextmanager
def _target(out: Path, to: Path) -> Iterator[Journal]:
    """The folder to write to, locked, with its journal; what a killed process left in it is put back."""
    from ...publishing import read_manifest

    if to != out:
        settled(out)
        manifest = read_manifest(out)
        with workspace(to, manifest["recipe"], manifest["corpus"]["name"]) as journal:
            yield journal
        return
    if not (out / "manifest.json").is_file():
        raise InputError(f"{out} is no published dataset: it has no manifest.json")
    with OutLock(out):
        recover(out)
        with Journal(out / ".remelt" / FILE) as journal:
            yield journal


def _change(
    out: Path, options: AddOptions, created: str, reporter: Reporter
) -> tuple[DatasetContent, Sequence[Mapping[str, Any]]]:
    """The content with what is added and without what is removed.

    Returns:
        The content; the records of all members.
    """
    from ...publishing import check_replies, read_manifest
    from ...resolution import resolve

    check_replies(out)
    manifest = read_manifest(out)
    reporter.stage(f"Reading the annotations of {out}")
    content = published_content(out, manifest)
    if options.resolution is not None:
        # The rule's own look at its options, before anything is read.
        resolve((), content.label_set.labels, options.resolution)
    before = Standing.read(manifest)
    members = list(content.panel.members) if content.panel else [_single(manifest)]
    annotations = list(content.annotations)
    utterances = _utterances(content)
    added = _read(out, options, content, utterances, created, reporter) if options.file else []
    gone = _check_names(members, options, added, reporter)
    members = [member for member in members if member["name"] not in gone]
    kept = [one for one in added if one.member["name"] not in {member["name"] for member in members}]
    members += [one.member for one in kept]
    annotations = [a for a in annotations if a.request.annotator not in gone]
    annotations += [annotation for one in kept for annotation in one.annotations]
    stale = set((manifest.get("resolution") or {}).get("notes") or ())
    content = replace(
        content,
        notes=[note for note in content.notes if note not in stale],
        drops=[d for d in content.drops if d.stage == "selection" and _NOT_ASKED not in d.reasons],
    )
    rule = options.resolution or rule_of(manifest)
    asked = options.resolution is not None or before.asked
    if before.alone and len(members) == 1 and (gone or not asked) and options.resolution is None:
        content = replace(
            content,
            annotations=annotations,
            drops=(*content.drops, *quarantined(annotations)),
            panel=None,
        )
        return content, members
    people = [str(member["name"]) for member in members if member["kind"] == "human"]
    check_quorum(rule, [str(m["name"]) for m in members if m["name"] not in people], people)
    corpus = str(content.corpus["name"])
    ratings = ratings_for(rule, utterances, content.label_set, corpus)
    check_people(rule, ratings, bool(people), corpus, out)
    standing = Standing(asked, before.alone)
    content = panel_content(content, members, annotations, utterances, rule, ratings, standing)
    tell_notes(content, reporter)
    return content, members


def _read(
    out: Path,
    options: AddOptions,
    content: DatasetContent,
    utterances: Sequence[Utterance],
    created: str,
    reporter: Reporter,
) -> list[Addition]:
    """The sources of the file, and what there is to tell of it."""
    from ...exchange import ReadOptions, read
    from ...rows import file_sha256

    assert options.file is not None
    path = options.file
    reporter.stage(f"Reading {path}")
    split = options.split or (content.splits[0] if len(content.splits) == 1 else None)
    if options.split and options.split not in content.splits:
        raise InputError(bad_value("split", options.split, content.splits))
    wanted = ReadOptions(
        content.label_set, options.label_columns, options.id_column, split, options.kind, options.each
    )
    form, reading = read(path, wanted, options.form)
    if options.each and form != "remelt":
        raise InputError(f"--each is for remelt datasets, and {path} is read as {form}")
    names = giving.Names(path, options.sources, lambda: name_secret(out, options.to or out))
    dropped = [drop.utterance for drop in content.drops if drop.stage == "selection"]
    matched = giving.match(reading.givens, utterances, dropped, names)
    names.check()
    for notice in (*reading.notices, *names.notices, *_told(path, matched, reading.left_out)):
        reporter.notice(notice)
    if not matched.givens:
        left = ", ".join(f"{count:,} {what}" for what, count in reading.left_out.items())
        raise InputError(f"{path} holds no label to add ({left or 'no rows'})")
    file = path / "manifest.json" if path.is_dir() else path
    file = path / "records.json" if path.is_dir() and not file.is_file() else file
    about = {"file": path.name, "sha256": file_sha256(file), "format": form}
    labelling = giving.Labelling(content.label_set, options.labels_of, options.skip_unknown)
    return giving.additions(matched, utterances, labelling, about, created)


def _told(path: Path, matched: giving.Matched, left_out: Mapping[str, int]) -> Iterator[str]:
    if left_out:
        told = ", ".join(f"{count:,} {what}" for what, count in sorted(left_out.items()))
        yield f"{path.name}: entries that are no labels: {told}"
    if matched.unknown:
        told = giving.shown(matched.unknown)
        yield f"{path.name}: {len(matched.unknown):,} ids are not in the dataset: {told}"
    if matched.dropped:
        told = giving.shown(matched.dropped)
        yield f"{path.name}: {len(matched.dropped):,} ids were dropped by the selection: {told}"


def _check_names(
    members: Sequence[Mapping[str, Any]], options: AddOptions, added: Sequence[Addition], reporter: Reporter
) -> set[str]:
    """The members that go: those to remove and those to replace."""
    kinds = {str(member["name"]): str(member["kind"]) for member in members}
    removable = [name for name, kind in kinds.items() if kind in KINDS]
    gone = set()
    again = []
    for name in options.remove:
        if name not in removable:
            told = f"added were {removable!r}" if removable else "nothing was added"
            raise InputError(
                f"Bad source to remove {name!r}: {told}, and the annotators that built the dataset stay in it"
            )
        gone.add(name)
    for one in added:
        name = str(one.member["name"])
        if name not in kinds or name in gone:
            continue
        if name in removable and options.replace:
            gone.add(name)
        elif name in removable:
            again.append(name)
        elif one.member["kind"] == "import":
            reporter.notice(
                f"{len(one.annotations):,} labels of {name!r} are left out: it is an annotator of the dataset"
            )
        else:
            raise InputError(f"{name!r} is an annotator of the dataset; --source gives another name")
    if again:
        raise InputError(
            f"{', '.join(map(repr, again))} {'was' if len(again) == 1 else 'were'} added before; --replace "
            "puts the new labels in the place of the old ones, and --source gives them another name"
        )
    if len(gone) == len(members):
        raise InputError("Nobody would be left; a dataset needs one annotator at least")
    return gone


def _tell_silent(content: DatasetContent, reporter: Reporter) -> None:
    """Says which rows come in, or back, of whose clips nothing is known here."""
    if content.voice is None:
        return
    if content.panel is None:
        kept = [a.utterance.id for a in content.annotations if a.verdict.status == "valid"]
    else:
        kept = [name for name, found in content.panel.resolutions.items() if found.label is not None]
    silent = [name for name in kept if name not in content.voice.rows]
    if silent:
        reporter.notice(
            f"{len(silent):,} rows come in without what is heard in their clips: {giving.shown(silent)}; the "
            "command that built the dataset listens to them and keeps what was added"
        )


def _single(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The record of the one annotator of a dataset as a member of several."""
    from ...publishing.panel import OF_REPLIES

    annotator = manifest["annotator"]
    return {
        "kind": "model",
        "parameters": {},
        "notices": [],
        **{key: value for key, value in annotator.items() if key not in OF_REPLIES},
        "prompt": manifest["prompt"],
        "schema": {"name": manifest["schema"]["name"], "json": manifest["schema"]["json"]},
        "turns": manifest["options"].get("turns"),
    }


def _utterances(content: DatasetContent) -> list[Utterance]:
    """Those that can be annotated, in the dataset's order; those that nobody was asked about at the end."""
    found = {a.utterance.id: a.utterance for a in content.annotations}
    for drop in content.drops:
        if _NOT_ASKED in drop.reasons:
            found.setdefault(drop.utterance.id, drop.utterance)
    return list(found.values())


def _stats(content: DatasetContent) -> Any:
    from ...engine import Stats

    annotations: Sequence[Annotation] = content.annotations
    return Stats(rows=len(annotations), done=len(annotations))
