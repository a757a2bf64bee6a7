"""What a corpus reader and an annotator promise; the parts meet here instead of importing each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from .records import Message, Reply, Request, Verdict


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
    requests at once cost nothing), `slots` (it works on so many at once), `schema_hint` (`label`: its
    answers hold nothing but a label), `prompt_hint` (name of the prompt behind its answers), and, where it
    replays a file, `turns` (replies per utterance at most), `unused(ids)`, `compare(utterances)` and
    `differences`.
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


Check = Callable[[Request, Reply], Verdict]
Conversation = Callable[[Request, tuple[tuple[Reply, Verdict], ...]], tuple[Message, ...]]
