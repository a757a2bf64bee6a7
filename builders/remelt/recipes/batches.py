"""The batches of a dataset folder: what there is, how they stand at the server, and how to end them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch_log import CREATING, BatchLog, BatchRecord
from ..errors import InputError, RequestRejected, bad_value
from ..journal import FILE, Journal, OutLock

if TYPE_CHECKING:
    from ..protocols import BatchAnnotator, BatchState

ALL = "all"


def list_batches(out: Path, refresh: bool = False, base_url: str | None = None) -> tuple[BatchRecord, ...]:
    """The batches of a dataset folder, oldest first; also while a build works on it.

    Args:
        out: the dataset folder.
        refresh: ask the server how those stand that are not done; the journal is left as it is.
        base_url: another address of the server than the one remembered.

    Raises:
        InputError: there is no journal.
        AnnotatorError: the server does not say.
        TransientError: the server does not answer.
    """
    with Journal(out / ".remelt" / FILE, read_only=True) as journal:
        records = BatchLog(journal).all()
    if not refresh:
        return tuple(records)
    asked = [record for record in records if record.id and not record.done]
    states = _ask(asked, base_url, lambda annotator, record: annotator.batch(record.id))
    fresh = {record.number: _with(record, state) for record, state in zip(asked, states, strict=True)}
    return tuple(fresh.get(record.number, record) for record in records)


def cancel_batches(out: Path, which: str, base_url: str | None = None) -> tuple[BatchRecord, ...]:
    """Cancels batches; what they have answered by then is charged, and the next build fetches it.

    A batch that the server does not know, or whose creation was cut short, is given up: the next build asks
    its rows again.

    Args:
        out: the dataset folder; no build may be working on it, which would send the rows again.
        which: a batch's id (or mark), or `all` for those that are not done.
        base_url: another address of the server than the one remembered.

    Returns:
        The batches that were cancelled or given up.

    Raises:
        InputError: no such batch, or a build is working on the folder.
        AnnotatorError: the server refuses.
        TransientError: the server does not answer.
    """
    if not (out / ".remelt" / FILE).is_file():
        raise InputError(f"No journal at {out / '.remelt' / FILE}")
    with OutLock(out), Journal(out / ".remelt" / FILE) as journal:
        log = BatchLog(journal)
        left = log.unfinished()
        chosen = [r for r in left if which == ALL or which in (r.id, r.mark)]
        if not chosen and which != ALL:
            names = [r.id or r.mark for r in left]
            raise InputError(bad_value("batch", which, [*names, ALL]))
        states = _ask(chosen, base_url, _cancel)
        for record, state in zip(chosen, states, strict=True):
            if state is None:
                log.abandon(record.number, "given up")
            else:
                log.update(record.number, state)
        numbers = {record.number for record in chosen}
        return tuple(record for record in log.all() if record.number in numbers)


async def _cancel(annotator: BatchAnnotator, record: BatchRecord) -> BatchState | None:
    """The state after cancelling; None where there is nothing at the server to cancel."""
    batch_id = record.id
    try:
        if not batch_id and record.status == CREATING and record.file:
            found = await annotator.find_batch(record.file, record.mark)
            batch_id = found.id if found else ""
        return await annotator.cancel_batch(batch_id) if batch_id else None
    except RequestRejected:
        return None


def _ask(
    records: Sequence[BatchRecord],
    base_url: str | None,
    question: Callable[[BatchAnnotator, BatchRecord], Awaitable[BatchState | None]],
) -> list[BatchState | None]:
    """Asks the server of each batch about it, one after the other."""
    from ..annotators import AnnotatorOptions, create

    async def ask(record: BatchRecord) -> BatchState | None:
        address = base_url or record.endpoint
        annotator: BatchAnnotator = create(record.annotator, AnnotatorOptions(base_url=address))  # type: ignore[assignment]
        try:
            return await question(annotator, record)
        finally:
            await annotator.close()

    async def ask_all() -> list[BatchState | None]:
        return [await ask(record) for record in records]

    return asyncio.run(ask_all()) if records else []


def _with(record: BatchRecord, state: BatchState | None) -> BatchRecord:
    if state is None:
        return record
    return replace(
        record,
        status=state.status,
        completed=state.completed,
        failed=state.failed,
        detail=state.detail,
    )
