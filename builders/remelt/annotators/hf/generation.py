"""Writing replies token by token, several rows at once, each by its own rules."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..soft_labels import Token
from .grammar import Grammars
from .runtime import Runtime
from .sampling import Sampling, choose

_ALTERNATIVES = 20


@dataclass(frozen=True)
class Ask:
    """A reply to write.

    Attributes:
        tokens: the prompt.
        shared: what prompts with the same system message begin with.
        sampling: how tokens are drawn.
        schema, schema_hash: what the reply must follow; None for nothing.
    """

    tokens: Sequence[int]
    shared: Sequence[int]
    sampling: Sampling
    schema: Mapping[str, Any] | None = None
    schema_hash: str = ""

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def group(self) -> Hashable:
        return tuple(self.shared)


@dataclass
class Written:
    """A reply.

    Attributes:
        tokens: as drawn, the ending token left out.
        finish: `stop` or `length`.
        drawn: tokens that were drawn, the ending one among them.
        alternatives: what else the model thought of at each token, where that was asked for.
    """

    tokens: list[int] = field(default_factory=list)
    finish: str = ""
    drawn: int = 0
    alternatives: list[Token] = field(default_factory=list)


class Writer:
    """Writes replies with a model.

    Args:
        runtime: the model.
        grammars: enforces schemas; None where none is asked for.
        logprobs: keep what else the model thought of.
    """

    def __init__(self, runtime: Runtime, grammars: Grammars | None, logprobs: bool = False) -> None:
        self._runtime, self._grammars, self._logprobs = runtime, grammars, logprobs

    def write(self, asks: Sequence[Ask]) -> list[Written]:
        """Writes a reply to each; see `Runtime.guarded` for the errors."""
        return self._runtime.guarded(lambda: self._write(asks))

    def _write(self, asks: Sequence[Ask]) -> list[Written]:
        written = [Written() for _ in asks]
        matchers = [self._matcher(ask) for ask in asks]
        draws = [ask.sampling.draws() for ask in asks]
        rows = list(range(len(asks)))
        state = self._runtime.read([ask.tokens for ask in asks], asks[0].shared)
        while True:
            scores = self._allowed(state.logits, [matchers[row] for row in rows])
            tokens = choose(scores, [asks[row].sampling for row in rows], [draws[row] for row in rows])
            if self._logprobs:
                self._remember(state.logits, tokens, [written[row] for row in rows])
            going = []
            for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
                if not self._ended(asks[row], written[row], matchers[row], token):
                    going.append(place)
            if not going:
                return written
            rows = [rows[place] for place in going]
            state = self._runtime.step(state, [tokens[place] for place in going], going)

    def _matcher(self, ask: Ask) -> Any:
        if ask.schema is None or self._grammars is None:
            return None
        return self._grammars.matcher(ask.schema, ask.schema_hash)

    def _allowed(self, logits: Any, matchers: Sequence[Any]) -> Any:
        """The logits with minus infinity for what a row's grammar does not allow."""
        if self._grammars is None or not any(m is not None for m in matchers):
            return logits
        import numpy as np
        import torch

        free = np.ones(logits.shape[-1], dtype=np.uint8)
        allowed = np.stack([free if m is None else self._grammars.allowed(m) for m in matchers])
        return logits.masked_fill(torch.from_numpy(allowed).to(logits.device) == 0, float("-inf"))

    def _ended(self, ask: Ask, written: Written, matcher: Any, token: int) -> bool:
        """Takes a token into the reply; True where the reply is at its end."""
        written.drawn += 1
        if token in self._runtime.ends:
            written.finish = "stop"
            return True
        written.tokens.append(token)
        if matcher is not None:
            matcher.consume_token(token)
            if matcher.is_stopped():
                written.finish = "stop"
                return True
        if written.drawn == ask.sampling.max_tokens:
            written.finish = "length"
            return True
        return False

    def _remember(self, logits: Any, tokens: Sequence[int], written: Sequence[Written]) -> None:
        import torch

        found = torch.log_softmax(logits, dim=-1)
        best, places = found.topk(min(_ALTERNATIVES, found.shape[-1]), dim=-1)
        for row, (token, into) in enumerate(zip(tokens, written, strict=True)):
            pairs = dict(zip(places[row].tolist(), best[row].tolist(), strict=True))
            pairs[token] = float(found[row, token])
            choices = tuple((self._bytes(t), p) for t, p in pairs.items())
            if token not in self._runtime.ends:
                into.alternatives.append(Token(self._bytes(token), choices))

    def _bytes(self, token: int) -> bytes:
        if self._grammars is not None:
            return bytes(self._grammars.tokens.decode_bytes([token]))
        return str(self._runtime.tokenizer.decode([token])).encode()
