"""Asks the annotators of a build: local models one after the other, servers side by side, one journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...engine import Stats, Stop, together
from ...errors import AnnotatorError, InputError, Interrupted, RemeltError
from ...journal import Journal
from ...protocols import BatchAnnotator
from ...records import Annotation, Request, digest
from ..annotation import Work, carry_out, in_order, run, run_loop, signals
from ..reporting import Reporter
from ..workspace import amend, recall

if TYPE_CHECKING:
    from ..options import BuildOptions
    from .members import Panel, Participant

_AT_ONCE = 512
_LOOKUP = 500
_SHOWN_EVERY = 0.1
_MEMBERS = "members.json"
_FAILURE = "failure"
_KINDS: Mapping[type[RemeltError], str] = {
    AnnotatorError: "it can answer nothing",
    InputError: "it cannot be used as it is",
    Interrupted: "it was ended early",
}
_TOLD = ("retires", "notices", "caveat", "run")


@dataclass(frozen=True)
class Asked:
    """What the annotators of a build answered.

    Attributes:
        annotations: of all, one annotator after the other.
        stats: of all together.
        records: name -> what its record in the manifest has of the run (`run`, `missing`, ...).
        notes: who did not finish and why.
        each: name -> what happened with that annotator.
    """

    annotations: tuple[Annotation, ...]
    stats: Stats
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    each: Mapping[str, Stats] = field(default_factory=dict)


def ask_panel(panel: Panel, journal: Journal, options: BuildOptions, reporter: Reporter) -> Asked:
    """Asks every annotator what the journal does not know yet.

    Models in this process are loaded one after the other, each closed before the next. Servers are asked side
    by side, but in turn where there is a budget, which counts all replies of OUT. One that fails leaves the
    others at work.

    Args:
        options: of these, `out` and `allow_missing` hold here.

    Raises:
        Interrupted: stopped, or an annotator did not finish and none may be missing; names who and why.
            Everything answered is in the journal.
        AnnotatorError: the only annotator can answer nothing.
        InputError: the only annotator cannot be used as things stand.
    """
    rows = len(panel.rows.utterances)
    if len(panel.members) == 1:
        only = panel.members[0]
        reporter.stage(f"Annotating {rows:,} utterances with {only.annotator.name}")
        annotations, stats = run(_work(only), journal, reporter)
        return Asked(
            annotations,
            stats,
            {only.name: {"run": stats.as_dict()} if stats.asked else {}},
            each={only.name: stats},
        )
    reporter.stage(f"Annotating {rows:,} utterances with {', '.join(panel.names)}")
    runs = [_MemberRun(member, journal, options, reporter) for member in panel.members]
    stopped = run_loop(_Session(runs, reporter).run())
    stats = together([one.stats for one in runs])
    reporter.annotated(stats)
    if stopped:
        raise Interrupted(stopped)
    failed = [one for one in runs if one.failure]
    told = "; ".join(f"{one.name} has {len(one.found):,} of {rows:,} rows ({one.failure})" for one in failed)
    if failed and not (options.allow_missing and any(one.found for one in runs)):
        done = len(runs) - len(failed)
        raise Interrupted(
            f"{done} of {len(runs)} annotators are done; {told}. What is missing is asked for next time; "
            "--allow-missing publishes without it"
        )
    return Asked(
        annotations=tuple(a for one in runs for a in in_order(one.work, one.found)),
        stats=stats,
        records={one.name: one.record() for one in runs},
        notes=tuple(f"The annotator {one.name} did not finish: {one.missing}" for one in failed),
        each={one.name: one.stats for one in runs},
    )


def _work(member: Participant) -> Work:
    engine = member.engine
    if getattr(member.annotator, "immediate", False):
        # Nobody is waited for, so many at once cost nothing and share the journal's commits.
        engine = replace(engine, concurrency=max(engine.concurrency, _AT_ONCE))
    return Work(member.questions.requests, member.annotator, member.check, member.conversation, engine)


def lanes(members: Sequence[Participant]) -> tuple[tuple[Participant, ...], ...]:
    """Who waits for whom: the members of a lane are asked one after the other, the lanes side by side."""
    from ...annotators import in_process

    found: dict[object, list[Participant]] = {}
    for member in members:
        annotator = member.annotator
        lane: object = member.name
        if in_process(member.spec):
            lane = ("memory",)
        elif member.engine.budget is not None and hasattr(annotator, "estimate"):
            lane = ("budget",)
        elif getattr(annotator, "batched", False):
            # A run that looks for its batches at the server must not meet those of another under way.
            lane = ("batches", annotator.model, annotator.endpoint)
        found.setdefault(lane, []).append(member)
    return tuple(tuple(lane) for lane in found.values())


class _Session:
    """All annotators of a build at work.

    Args:
        runs: in the order of their votes.
    """

    def __init__(self, runs: Sequence[_MemberRun], reporter: Reporter) -> None:
        self._runs, self._reporter = runs, reporter
        self._of = {one.name: one for one in runs}
        self._stopped = ""
        self._shown = 0.0
        for one in runs:
            one.progressed = self._progress

    async def run(self) -> str:
        """Asks them all; why it was stopped, empty where it was not."""
        order = [[self._of[m.name] for m in lane] for lane in lanes([one.who for one in self._runs])]
        with signals(self._stop):
            tasks = [asyncio.create_task(self._lane(lane)) for lane in order]
            try:
                await asyncio.gather(*tasks)
            except asyncio.CancelledError:
                self._stopped = "stopped at once; replies in flight were given up"
            finally:
                # Whatever ended one of them: what the others have in flight is stored before this ends.
                self._halt(self._stopped or "another annotator ended unexpectedly")
                await asyncio.gather(*tasks, return_exceptions=True)
        return self._stopped

    async def _lane(self, lane: Sequence[_MemberRun]) -> None:
        for one in lane:
            if self._stopped:
                one.failure = one.failure or self._stopped
                continue
            await one.run()
            self._progress(now=True)

    def _stop(self, name: str) -> None:
        self._stopped = f"stopped by {name}"
        flying = sum(one.stats.in_flight for one in self._runs if not one.stats.batches)
        self._halt(self._stopped)
        if flying:
            self._reporter.notice(f"Stopping: waiting for {flying} requests in flight; again to stop at once")

    def _halt(self, reason: str) -> None:
        for one in self._runs:
            one.stop.ask(reason)

    def _progress(self, now: bool = False) -> None:
        moment = time.monotonic()
        if now or moment - self._shown >= _SHOWN_EVERY:
            self._shown = moment
            running = [
                f"{one.name} {one.stats.done:,}/{one.stats.rows:,}" for one in self._runs if one.working
            ]
            self._reporter.progress(together([one.stats for one in self._runs], running))


class _MemberRun(Reporter):
    """One annotator at work; told what happens, it passes it on with the annotator's name.

    Attributes:
        found: its annotations by utterance id.
        failure: why it did not finish, in the words of whoever said so, which may hold addresses, paths and
            keys: for the terminal and `.remelt/` alone. Empty where it did.
        working: whether it is at work.
    """

    def __init__(
        self, member: Participant, journal: Journal, options: BuildOptions, reporter: Reporter
    ) -> None:
        self.who, self.name = member, member.name
        self.work = _work(member)
        self.stats, self.stop = Stats(rows=len(self.work.requests)), Stop()
        self.found: dict[str, Annotation] = {}
        self.failure, self._why, self.working = "", "", False
        self.progressed: Callable[[], None] = lambda: None
        self._journal, self._options, self._reporter = journal, options, reporter
        self._begun = time.monotonic()

    # -- as the reporter of its own run -------------------------------------------------------------

    def notice(self, text: str) -> None:
        self._reporter.notice(f"{self.name}: {text}")

    def progress(self, stats: Stats) -> None:
        self.progressed()

    # -- at work ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Asks for what is missing; what goes wrong is kept in `failure`."""
        self.stats.started = time.monotonic()
        self.working = True
        try:
            left = await self._settle()
            if left:
                work = replace(self.work, requests=left, options=self._in_time())
                await carry_out(work, self._journal, self.stats, self.stop, self, self.found)
        except RemeltError as error:
            self.failure, self._why = str(error), _why(error)
            self.stats.given_up = self.stats.rows - self.stats.done
            # Rows that got no answer before it gave up are missing like those after them.
            self.found = {n: a for n, a in self.found.items() if a.verdict.status != "error"}
        finally:
            self.working = False
            self.stats.finished = self.stats.finished or time.monotonic()
            self._remember()
        self._reporter.member(self.name, self.stats, self.failure)

    async def _settle(self) -> Sequence[Request]:
        """Takes what the journal settles; the requests that are left, without which nobody is started."""
        requests, left = self.work.requests, []
        if isinstance(self.work.annotator, BatchAnnotator):
            # What comes of earlier batches is told apart by the whole list.
            return requests
        for start in range(0, len(requests), _LOOKUP):
            part = requests[start : start + _LOOKUP]
            known = self._journal.replies([request.key for request in part])
            # The others go on meanwhile.
            await asyncio.sleep(0)
            for request in part:
                replies = known.get(request.key, ())
                verdicts = tuple(self.work.check(request, reply) for reply in replies)
                if replies and (verdicts[-1].status == "valid" or len(replies) > self.work.options.retries):
                    annotation = Annotation(request, replies, verdicts)
                    self.found[request.utterance.id] = annotation
                    self.stats.count(annotation, True)
                else:
                    left.append(request)
        return left

    def _in_time(self) -> Any:
        """The engine's options with what is left of the time that all annotators have together."""
        options = self.work.options
        if options.deadline is None:
            return options
        left = self._begun + options.deadline - time.monotonic()
        if left <= 0:
            raise Interrupted(f"the deadline of {options.deadline / 60:g} minutes has passed")
        return replace(options, deadline=left)

    # -- what is kept of it -------------------------------------------------------------------------

    def _identity(self) -> str:
        """By which a later run knows this annotator, whatever it is called."""
        annotator, questions = self.who.annotator, self.who.questions
        hashes = [[r.prompt_hash, r.schema_hash] for r in questions.requests[:1]]
        return digest([annotator.model, annotator.endpoint, hashes, dict(questions.parameters)])

    @property
    def missing(self) -> str:
        """Why it did not finish and how far it came, as it is published."""
        return f"{self._why}; {len(self.found):,} of {len(self.work.requests):,} rows have its answer"

    def _remember(self) -> None:
        """Keeps what was told of an annotator that was asked, for the run that publishes; also a failure."""
        annotator = self.who.annotator
        own: dict[str, Any] = {}
        if self.stats.asked:
            own = {
                "retires": getattr(annotator, "retires", None),
                "notices": list(annotator.notices),
                "caveat": getattr(annotator, "caveat", ""),
                "run": self.stats.as_dict(),
            }

        def change(kept: dict[str, Any]) -> dict[str, Any]:
            told = own or {name: value for name, value in kept.items() if name != _FAILURE}
            return {**told, _FAILURE: self.failure} if self.failure else told

        amend(self._options.out, _MEMBERS, self._identity(), change)

    def record(self) -> dict[str, Any]:
        """What the manifest says of the run besides `panel.member_record`.

        An annotator that was not asked in this run keeps what the last one that asked it has told.
        """
        told = recall(self._options.out, _MEMBERS).get(self._identity(), {})
        known = {name: told[name] for name in _TOLD if name in told}
        if not self.stats.asked and not known:
            known = {"run": self.stats.as_dict()}
        return {**known, **({"missing": self.missing} if self.failure else {})}


def _why(error: RemeltError) -> str:
    """The kind of failure; what was said of it may hold what must not be published."""
    for kind, words in _KINDS.items():
        if isinstance(error, kind):
            return words
    return "it failed"
