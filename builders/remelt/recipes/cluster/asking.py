"""One annotator's requests on Ray's workers, by stretches that have a journal of their own each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...engine import EngineOptions, Stats, together
from ...errors import RemeltError
from ...protocols import Annotator, Check, Conversation
from ...records import Annotation, Request
from ..annotation import Work, run
from ..parts.options import PartOptions
from ..reporting import Reporter
from . import session, shards, working

if TYPE_CHECKING:
    from ...journal import Journal

# So many stretches a worker, that none waits long for the slowest; models are loaded for each.
_EACH = 4
_LOOKUP = 500


@dataclass(frozen=True)
class Asking:
    """What is asked, and how a worker comes by the one who answers. Can be pickled.

    Attributes:
        requests: at most one per utterance.
        make: a new annotator, and the list of the seconds of sound that it decodes.
        check, conversation, options: see `annotation.Work`.
        folder: the files that the annotator reads, absolute.
        in_process: whether the annotator loads a model.
        threads: processor cores that such a model uses.
    """

    requests: Sequence[Request]
    make: Callable[[], tuple[Annotator, list[float]]]
    check: Check
    conversation: Conversation
    options: EngineOptions
    folder: Path
    in_process: bool = False
    threads: int = 1


@dataclass(frozen=True)
class Answered:
    """What came of it.

    Attributes:
        annotations: in the order of the requests.
        stats: of all workers.
        notices: of their annotators.
        heard: seconds of sound that they decoded.
    """

    annotations: tuple[Annotation, ...]
    stats: Stats
    notices: tuple[str, ...]
    heard: float


@dataclass(frozen=True)
class _Stretch:
    """What a worker brings back: `lost` are the annotations whose last reply never came."""

    stats: Stats
    lost: tuple[Annotation, ...]
    notices: tuple[str, ...]
    heard: float


def ask(parts: PartOptions, asking: Asking, journal: Journal, out: Path, reporter: Reporter) -> Answered:
    """Asks what the journal does not know; the answers are the same as those of `annotation.run`.

    Args:
        parts: `workers` and `address` hold; `rows` are the requests in a stretch.
        asking: what is asked.
        journal: OUT's, open and locked by this process.
        out: the folder.
        reporter: is told what happens.

    Raises:
        InputError: ray is missing, or a machine of the cluster does not see OUT.
        Interrupted: stopped before the end; the answers so far are in the journal.
        AnnotatorError: no request can succeed.
    """
    found, left, before = _settled(asking, journal)
    brought: list[_Stretch] = []
    if left:
        try:
            with session.connect(parts.address, parts.workers) as cluster:
                session.check_machines(cluster, out.resolve(), asking.folder)
                whole = _Whole(reporter, before, len(asking.requests))
                for stretch in _spread(cluster, parts, asking, left, journal, out.resolve(), whole):
                    brought.append(stretch)
                    whole.done.append(stretch.stats)
        except RemeltError:
            shards.merge_left(journal, out)
            raise
        shards.clear(out)
    lost = {one.utterance.id: one for stretch in brought for one in stretch.lost}
    again, still, _ = _settled(replace(asking, requests=left), journal)
    found |= again
    found |= {request.utterance.id: lost[request.utterance.id] for request in still}
    stats = together([before, *(stretch.stats for stretch in brought)])
    # The clocks of several machines have nothing in common.
    stats.rows, stats.started, stats.finished = len(asking.requests), before.started, time.monotonic()
    return Answered(
        annotations=tuple(found[request.utterance.id] for request in asking.requests),
        stats=stats,
        notices=tuple(dict.fromkeys(notice for stretch in brought for notice in stretch.notices)),
        heard=sum(stretch.heard for stretch in brought),
    )


def _settled(asking: Asking, journal: Journal) -> tuple[dict[str, Annotation], list[Request], Stats]:
    """What the journal answers, what it does not, and the counts of the first."""
    found: dict[str, Annotation] = {}
    left, stats = [], Stats()
    for start in range(0, len(asking.requests), _LOOKUP):
        stretch = asking.requests[start : start + _LOOKUP]
        known = journal.replies([request.key for request in stretch])
        for request in stretch:
            replies = known.get(request.key, ())
            verdicts = tuple(asking.check(request, reply) for reply in replies)
            if replies and (verdicts[-1].status == "valid" or len(replies) > asking.options.retries):
                found[request.utterance.id] = annotation = Annotation(request, replies, verdicts)
                stats.count(annotation, True)
            else:
                left.append(request)
    stats.finished = stats.started
    return found, left, stats


def _spread(
    cluster: session.Cluster,
    parts: PartOptions,
    asking: Asking,
    left: Sequence[Request],
    journal: Journal,
    out: Path,
    reporter: Reporter,
) -> Iterator[_Stretch]:
    wanted = parts.workers or cluster.processors
    size = parts.rows or max(1, -(-len(left) // (_EACH * wanted)))
    stretches = [list(left[start : start + size]) for start in range(0, len(left), size)]
    crew = working.crew(cluster, parts.workers, len(stretches), asking.in_process, asking.threads)
    work = _Asks(replace(asking, requests=()), out, shards.write_known(journal, out))
    items = [(f"stretch-{number:06d}", stretch) for number, stretch in enumerate(stretches)]
    for done in working.spread(cluster, crew, work, items, reporter):
        shard = shards.shard_path(out, items[done.number][0])
        shards.merge(journal, shard)
        shards.remove(shard)
        yield done.result


@dataclass
class _Asks:
    """What a worker does with a stretch."""

    asking: Asking
    out: Path
    known: Path | None
    made: tuple[Annotator, list[float]] | None = None

    def __call__(self, item: tuple[str, list[Request]], reporter: Reporter) -> _Stretch:
        name, requests = item
        # Kept from stretch to stretch, as finding a model takes a while; it is loaded for each.
        self.made = self.made or self.asking.make()
        annotator, heard = self.made
        annotator.notices.clear()
        heard.clear()
        work = Work(requests, annotator, self.asking.check, self.asking.conversation, self.asking.options)
        with shards.Shard(shards.shard_path(self.out, name), self.known) as journal:
            annotations, stats = run(work, journal, reporter)
        lost = tuple(one for one in annotations if one.replies[-1].failure == "error")
        return _Stretch(stats, lost, tuple(annotator.notices), sum(heard))


class _Whole(Reporter):
    """Shows the stretches at work together with what was done before them."""

    def __init__(self, reporter: Reporter, before: Stats, rows: int) -> None:
        self._reporter, self._rows = reporter, rows
        self._begun = before.started
        self.done: list[Stats] = [before]

    def notice(self, text: str) -> None:
        self._reporter.notice(text)

    def progress(self, stats: Stats) -> None:
        whole: Any = together([*self.done, stats])
        whole.rows, whole.started, whole.finished = self._rows, self._begun, None
        self._reporter.progress(whole)
