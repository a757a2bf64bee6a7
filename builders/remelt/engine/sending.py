"""One answer to one question: sent when pace and budget allow, and again while the server cannot answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import RemeltError, RequestRejected, TransientError
from ..protocols import Annotator
from ..records import Estimate, Message, Reply, Request
from .budget import Budget, bound
from .options import EngineOptions
from .pace import Pace, Ticket
from .stats import Stats, Stop
from .writer import Writer

Messages = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a question.

    Attributes:
        reply: an answer, or what stands for none (failure `error`).
        rejected: the annotator refuses this request for good.
        reserved: US dollars of the budget that are set aside until the reply is stored; None for none.
    """

    reply: Reply
    rejected: bool = False
    reserved: float | None = None


class Sender:
    """Sends requests for a run.

    Args:
        budget: None without a cap, or where nothing costs anything.
        writer: takes what a lost reply may have cost.
    """

    def __init__(
        self,
        annotator: Annotator,
        options: EngineOptions,
        stats: Stats,
        stop: Stop,
        writer: Writer,
        budget: Budget | None,
    ) -> None:
        self._annotator, self._options, self._stats = annotator, options, stats
        self._writer, self._budget = writer, budget
        self._pace = Pace(options, stop, stats)
        self._estimate: Callable[[Request, Messages], Estimate] | None = getattr(annotator, "estimate", None)
        self.refused = ""

    async def ask(self, request: Request, key: str, messages: Messages, attempt: int) -> Sent | None:
        """One answer or a failed reply; None where the run is to stop, or (see `refused`) the budget is over.

        Raises:
            AnnotatorError: no request can succeed.
            InputError: there is a budget, and nobody knows what the request may cost.
        """
        amount, tokens = self._needs(request, messages)
        sent = failed = 0
        while (ticket := await self._enter(amount, tokens)) is not None:
            sent += 1
            try:
                got = await self._send(request, messages, attempt, ticket)
            except RemeltError:
                self._settle(amount, 0.0)
                raise
            if isinstance(got, Reply):
                if self._budget is not None and got.cost is None:
                    self._charge(request, key, attempt, "a reply without usage, counted at its bound", amount)
                return Sent(replace(got, request_key=key, tries=sent - 1 + got.tries), False, amount)
            if isinstance(got, TransientError) and got.charged:
                self._lost(request, key, messages, attempt, got, amount)
            else:
                self._settle(amount, 0.0)
            if isinstance(got, RequestRejected):
                return Sent(failed_reply(request, key, attempt, str(got), sent), rejected=True)
            if got.throttled:
                continue
            failed += 1
            if failed >= self._options.tries:
                self._pace.exhausted(str(got))
                return Sent(failed_reply(request, key, attempt, f"{got} ({failed} tries)", sent))
            await self._pace.back_off(failed, got.retry_after)
        return None

    def _needs(self, request: Request, messages: Messages) -> tuple[float | None, float]:
        """What a request may cost (None without a budget), and the tokens it may take."""
        if self._estimate is None or (self._budget is None and not self._pace.counts_tokens):
            return None, 0.0
        estimate = self._estimate(request, messages)
        tokens = estimate.input_tokens + (estimate.output_tokens or 0)
        return (None if self._budget is None else bound(estimate, request)), tokens

    async def _enter(self, amount: float | None, tokens: float) -> Ticket | None:
        if self._budget is not None and amount is not None and not await self._budget.reserve(amount):
            self.refused = self._budget.over(amount)
            return None
        ticket = await self._pace.enter(tokens)
        if ticket is None:
            self._settle(amount, 0.0)
        return ticket

    async def _send(
        self, request: Request, messages: Messages, attempt: int, ticket: Ticket
    ) -> Reply | RequestRejected | TransientError:
        begun = time.perf_counter()
        try:
            reply = await self._annotator.answer(request, messages, attempt)
        except RequestRejected as error:
            self._pace.answered(ticket, None)
            return error
        except TransientError as error:
            if error.throttled:
                self._stats.throttled += 1
                self._pace.throttled(ticket, error.retry_after)
            else:
                self._stats.failed_tries += 1
                self._pace.failed(ticket)
            return error
        else:
            self._stats.latencies.add(reply.seconds or time.perf_counter() - begun)
            counted = reply.input_tokens is not None and reply.output_tokens is not None
            used = (reply.input_tokens or 0) + (reply.output_tokens or 0)
            self._pace.answered(ticket, used if counted else None)
            return reply
        finally:
            self._pace.leave(ticket, getattr(self._annotator, "limits", None))

    def _settle(self, amount: float | None, cost: float, stored: bool = True) -> None:
        if self._budget is not None and amount is not None:
            self._budget.settle(amount, cost, stored)

    def stored(self, sent: Sent, stored: bool) -> None:
        """To be called once the journal has a reply, or could not take it."""
        if sent.reserved is not None:
            cost = sent.reserved if sent.reply.cost is None else sent.reply.cost
            self._settle(sent.reserved, cost, stored)

    def _lost(
        self,
        request: Request,
        key: str,
        messages: Messages,
        attempt: int,
        error: TransientError,
        amount: float | None,
    ) -> None:
        """Counts a lost reply that may have been paid for at its bound, also where this run has no budget."""
        if amount is None and self._estimate is not None:
            cost = self._estimate(request, messages).cost
            if cost is not None:
                self._charge(request, key, attempt, str(error), cost)
        elif amount is not None:
            self._charge(request, key, attempt, str(error), amount, amount)

    def _charge(
        self,
        request: Request,
        key: str,
        attempt: int,
        detail: str,
        cost: float | None,
        reserved: float | None = None,
    ) -> None:
        lost = failed_reply(request, key, attempt, detail, 1, cost)
        self._writer.put(request, lost, lambda stored: self._settle(reserved, cost or 0.0, stored))


def failed_reply(
    request: Request, key: str, attempt: int, detail: str, tries: int, cost: float | None = None
) -> Reply:
    """What stands for an answer that never came."""
    return Reply(
        request_key=key,
        utterance_id=request.utterance.id,
        attempt=attempt,
        raw="",
        model=request.model,
        means="",
        failure="error",
        detail=detail,
        cost=cost,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        tries=tries,
    )
