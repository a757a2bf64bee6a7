"""What a corpus reader and an annotator promise; the parts meet here instead of importing each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from .errors import InputError
from .records import Estimate, Message, Reply, Request, Utterance, Verdict


@runtime_checkable
class Annotator(Protocol):
    """Somebody who answers requests: a server, an embedded model, a file of earlier replies, a mock.

    Attributes:
        name: as given on the command line.
        model: the model id.
        endpoint: goes into every request's key (see `records.Request.endpoint`).
        notices: fallbacks taken and parameters dropped, one sentence each, for the log and the manifest.

    An annotator may also have, where they apply: `retires` (ISO date on which the model is switched off),
    `caveat` (a sentence for the output and the card), `immediate` (True: it waits for nobody, so many
    requests at once cost nothing), `slots` (it works on so many at once),
    `at_once` (it wants so many requests in flight, whatever was asked for), `schema_hint` (`label`: its
    answers hold nothing but a label), `prompt_hint` (name of the prompt behind its answers), `unsampled`
    (True: temperature, seed and the like mean nothing to it), and, where it
    replays a file, `turns` (replies per utterance at most), `unused(ids)`, `compare(utterances)` and
    `differences`. One that is paid or paced has
    `estimate(request, messages) -> records.Estimate` and `limits`, the `records.RateLimits` that the server
    told last (None before it has told any).
    """

    name: str
    model: str
    endpoint: str
    notices: list[str]

    async def start(self) -> None:
        """Gets ready (connects, loads a model).

        Raises:
            AnnotatorError: when no request can succeed.
        """
        ...

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Answers one request.

        Args:
            request: what to ask.
            messages: the whole conversation to send: the request's own messages, and on a repair turn
                the earlier reply and what was wrong with it.
            attempt: 0, or the number of the repair turn.

        Raises:
            TransientError: ask again later.
            RequestRejected: this request can never succeed.
            AnnotatorError: no request can succeed.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections and processes."""
        ...


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How requests are put into batches.

    Attributes:
        requests: lines of one batch's file at most.
        bytes: bytes of one batch's file at most.
        enqueued_tokens: input tokens that may wait at the server in all batches together; None to find it
            out (a server says it when it refuses a batch).
        poll: seconds until the first look at a new batch; each further wait is half as long again.
        longest_poll: upper limit of one wait in seconds.
        settle: seconds after which a batch that was created must be in the server's list of batches.

    Raises:
        InputError: a limit below 1, or a wait that is no time.
    """

    requests: int = 50_000
    bytes: int = 200_000_000
    enqueued_tokens: int | None = None
    poll: float = 1.0
    longest_poll: float = 60.0
    settle: float = 5.0

    def __post_init__(self) -> None:
        for name in ("requests", "bytes", "enqueued_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"Bad {name} of a batch {value!r}, expected a whole number from 1")
        for name in ("poll", "longest_poll", "settle"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"Bad {name} {getattr(self, name)!r}, expected a number of seconds from 0")


@dataclass(frozen=True, slots=True)
class BatchState:
    """What the server says of a batch.

    Attributes:
        id: the server's id; empty where it refused to create one.
        status: validating, in_progress, finalizing, completed, failed, expired, cancelling or cancelled.
        created: UTC time in ISO 8601.
        total, completed, failed: requests, as the server counts them.
        output_file, error_file: ids of the files with answers and with errors; empty where there is none.
        detail: what the server says of a failed batch, in one line.
        full: it failed because too many tokens or requests wait at the server; the rows can go later.
        limit: the number of enqueued tokens that the server allows, where it says so.
        bad_lines: number (from 1) and fault of each line that made the batch fail.
        hopeless: why no batch of this run can succeed (unknown model, no credit); empty otherwise.
    """

    id: str
    status: str
    created: str = ""
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file: str = ""
    error_file: str = ""
    detail: str = ""
    full: bool = False
    limit: int | None = None
    bad_lines: tuple[tuple[int, str], ...] = ()
    hopeless: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ("completed", "failed", "expired", "cancelled")


@runtime_checkable
class BatchAnnotator(Protocol):
    """Somebody who answers many requests at once, within a day: requests go out and answers come in files.

    `name`, `model`, `endpoint`, `notices`, `start` and `close` are as in `Annotator`. Every method that
    reaches the server may raise `TransientError` (ask again later; `charged` where the request may have
    worked all the same) and `AnnotatorError` (no batch can succeed).

    Attributes:
        batched: True; how a batch annotator is told from others.
        batch_options: limits and waits.
    """

    name: str
    model: str
    endpoint: str
    notices: list[str]
    batched: bool
    batch_options: BatchOptions

    async def start(self) -> None:
        """See `Annotator.start`."""
        ...

    def estimate(self, request: Request, messages: tuple[Message, ...]) -> Estimate:
        """What a request will take, at the price of a batch."""
        ...

    def line(self, row: str, request: Request, messages: tuple[Message, ...], attempt: int) -> bytes:
        """One line of a batch's file, with its line end; `row` comes back with the answer."""
        ...

    async def upload(self, path: Path, mark: str) -> str:
        """Sends a batch's file; returns the server's id of it. Costs nothing."""
        ...

    async def create_batch(self, file: str, mark: str) -> BatchState:
        """Starts a batch on an uploaded file, with a mark by which it is found again.

        Where the server has no room for it now, the state is a failed one without id and with `full`.
        """
        ...

    async def find_batch(self, file: str, mark: str) -> BatchState | None:
        """The batch that was created with this mark or on this file, if there is one.

        Raises:
            RequestRejected: the server cannot tell.
        """
        ...

    async def batch(self, batch_id: str) -> BatchState:
        """How a batch stands.

        Raises:
            RequestRejected: the server knows no such batch.
        """
        ...

    async def cancel_batch(self, batch_id: str) -> BatchState:
        """Asks the server to end a batch; what is answered by then is kept and charged.

        Raises:
            RequestRejected: the server knows no such batch.
        """
        ...

    async def fetch(self, file: str, path: Path) -> None:
        """Writes one of the server's files to disk.

        Raises:
            RequestRejected: the server has no such file (any more).
        """
        ...

    def parse(self, line: bytes) -> tuple[str, Any]:
        """The `row` of a line of an answer or error file, and what to give to `reply`."""
        ...

    def reply(self, content: Any, request: Request, attempt: int) -> Reply:
        """The answer in a parsed line.

        Raises:
            TransientError: this row may be asked again.
            RequestRejected: this row can never succeed (`FieldRefused` where a field of it is to blame).
            AnnotatorError: no row can succeed.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


class AudioStore(Protocol):
    """Sound files by utterance, read one at a time because together they do not fit into memory."""

    def read(self, utterance_id: str) -> tuple[bytes, str] | None:
        """A file's content and its name (`dia0_utt3.flac`); None where the utterance has no sound."""
        ...


# The sound of an utterance: float32 mono samples in [-1, 1] at 16 kHz, shape (n,).
LoadAudio = Callable[[Utterance], Any]
Check = Callable[[Request, Reply], Verdict]
Conversation = Callable[[Request, tuple[tuple[Reply, Verdict], ...]], tuple[Message, ...]]
