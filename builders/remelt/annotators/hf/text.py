"""Answers that a transformers model writes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from ...records import Message, Reply, Request
from ..base import in_words
from ..openai_plan import sendable
from ..soft_labels import as_json, of_reply
from .base import InProcess

if TYPE_CHECKING:
    from .batches import Batcher
    from .generation import Ask, Writer, Written
    from .prompts import Prompts
    from .runtime import Runtime


class TextWriter(InProcess):
    """Lets the model write its answer."""

    _writer: Writer | None = None
    _batcher: Batcher[Ask, Written] | None = None

    def _prepare(self, runtime: Runtime, prompts: Prompts) -> None:
        from .generation import Writer
        from .grammar import Grammars

        grammars = None
        if self._options.answer_format in ("auto", "grammar"):
            grammars = Grammars(runtime.tokenizer, runtime.vocabulary, runtime.ends)
        self._writer = Writer(runtime, grammars, self._options.logprobs)

    def _begin(self, thread: ThreadPoolExecutor, size: int) -> None:
        from .batches import Batcher

        assert self._writer is not None
        self._batcher = Batcher(thread, self._writer.write, size, self.notices)

    async def _end(self) -> None:
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await batcher.close()

    async def _answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        assert self._prompts is not None
        assert self._batcher is not None
        means, prefill = self._means(request)
        ask = self._ask(request, messages, attempt, prefill, means == "grammar")
        written = await self._batcher.do(ask)
        raw = self._prompts.tokenizer.decode(
            written.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        soft = of_reply(raw, written.alternatives, request.schema, prefill) if written.alternatives else {}
        return Reply(
            request_key=request.key,
            utterance_id=request.utterance.id,
            attempt=attempt,
            raw=sendable(raw),
            model=self.model,
            means=means,
            finish_reason=written.finish,
            input_tokens=len(ask.tokens),
            output_tokens=written.drawn,
            label_logprobs=as_json(soft),
        )

    def _means(self, request: Request) -> tuple[str, str]:
        """How structure is asked for, and the answer's first characters."""
        if self._options.answer_format == "prefill" and request.prefill:
            return "prefill", request.prefill
        bound = ("grammar",) if in_words(request.schema) else ("auto", "grammar")
        return ("grammar" if self._options.answer_format in bound else "prompt"), ""

    def _ask(
        self, request: Request, messages: tuple[Message, ...], attempt: int, prefill: str, bound: bool
    ) -> Ask:
        from .generation import Ask
        from .sampling import sampling

        assert self._prompts is not None
        assert self._runtime is not None
        tokens = self._prompts.tokens(self._prompts.text(messages, prefill))
        self._fits(len(tokens))
        rules, unknown = sampling(request.parameters, attempt)
        for name in unknown:
            self._tell(f"A model in this process knows no parameter {name!r}; it is not used")
        if self._runtime.room is not None:
            left = self._runtime.room - len(tokens)
            rules = replace(rules, max_tokens=min(rules.max_tokens or left, left))
        shared = self._prompts.beginning(messages)
        if not bound:
            return Ask(tokens, shared, rules)
        return Ask(tokens, shared, rules, request.schema, request.schema_hash)
