"""What a request will take before it is sent: its tokens, and the dollars that it cannot pass.

The cap on the dollars rests on bytes, not on a count of tokens: a byte-level tokenizer, as OpenAI's models
have, never makes more tokens of a text than the text has bytes in UTF-8. That holds without the encoding's
file and costs microseconds, so every request can be bounded before it goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..records import Estimate, Message, Request, canonical_json
from .known_models import KnownModel
from .openai_plan import named_schema
from .tokens import PER_MESSAGE, PER_REPLY, byte_length, estimated_from

_UNSEEN = 64
"""Tokens that a server may put around a conversation beyond those that OpenAI documents."""


class Estimator:
    """Estimates the requests to one model.

    Args:
        model: the model id.
        price: what is known of the model; None for nothing, and then no cost is known.
        counter: the number of tokens of a text by the model's own encoding (see `tokens.counting`); None to
            estimate them from the text's bytes, which is quick enough for every request of a run.
        schema: whether the answer's schema is sent along (and counted as its compact JSON; how a server
            writes it into the prompt is not documented).
        batch: whether the batch prices hold.
    """

    def __init__(
        self,
        model: str,
        price: KnownModel | None,
        *,
        counter: Callable[[str], int] | None = None,
        schema: bool = True,
        batch: bool = False,
    ) -> None:
        self.model, self.price, self.batch = model, price, batch
        self._counter = counter
        self._with_schema = schema
        self._schema: tuple[Mapping[str, Any], int, int] | None = None

    def estimate(self, request: Request, messages: tuple[Message, ...]) -> Estimate:
        """What sending these messages for a request takes.

        Args:
            request: gives the schema, the prefill and `max_tokens` (or `max_completion_tokens`, which
                bounds what a reasoning model thinks as well).
            messages: the whole conversation to send, that of a repair turn included.

        Returns:
            `cost` is an upper bound; it is None where the price or the limit of the reply is not known.
        """
        schema_tokens, schema_bytes = self._schema_size(request.schema)
        content = sum([byte_length(m.content) for m in messages])
        if self._counter is None:
            tokens = estimated_from(content)
        else:
            tokens = sum(self._counter(m.content) for m in messages)
        output = output_limit(request.parameters)
        return Estimate(
            input_tokens=tokens + (PER_MESSAGE + 1) * len(messages) + PER_REPLY + schema_tokens,
            output_tokens=output,
            cost=self._cost(request, messages, content + schema_bytes, output),
            exact=self._counter is not None,
        )

    def schema_tokens(self, schema: Mapping[str, Any]) -> int:
        """Tokens of a schema; 0 where it is not sent."""
        return self._schema_size(schema)[0]

    def _cost(
        self, request: Request, messages: tuple[Message, ...], size: int, output: int | None
    ) -> float | None:
        if self.price is None or output is None:
            return None
        around = sum([PER_MESSAGE + len(m.role) for m in messages]) + PER_REPLY + _UNSEEN
        if request.prefill:
            around += PER_MESSAGE + len("assistant") + byte_length(request.prefill)
        return self.price.most(size + around, output, batch=self.batch)

    def _schema_size(self, schema: Mapping[str, Any]) -> tuple[int, int]:
        """Tokens and bytes; all requests of a run share one schema object, which is looked at once."""
        if not self._with_schema:
            return 0, 0
        if self._schema is None or self._schema[0] is not schema:
            text = canonical_json(named_schema(schema))
            size = byte_length(text)
            tokens = estimated_from(size) if self._counter is None else self._counter(text)
            self._schema = (schema, tokens, size)
        return self._schema[1:]


def output_limit(parameters: Mapping[str, Any]) -> int | None:
    """The most tokens that a reply to these parameters can have; None where nothing limits them.

    >>> output_limit({"max_tokens": 512}), output_limit({"temperature": 1.0})
    (512, None)
    """
    limits = [parameters.get(name) for name in ("max_completion_tokens", "max_tokens")]
    known = [int(limit) for limit in limits if limit is not None]
    # A server obeys one of the two; which one is not known where both are given.
    return max(known) if known else None
