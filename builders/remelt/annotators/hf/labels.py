"""Labels that a transformers model scores: nothing is written, the likeliest label is the answer.

A model prefers some labels whatever it is asked; contextual calibration divides that out (T. Z. Zhao,
E. Wallace, S. Feng, D. Klein and S. Singh 2021, "Calibrate Before Use: Improving Few-Shot Performance of
Language Models", ICML).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ...errors import AnnotatorError
from ...records import Message, Reply, Request
from ..base import AnnotatorOptions, in_words
from ..soft_labels import LABEL_KEY, as_json, label_names, label_set_name
from .base import InProcess
from .models import HFModel

if TYPE_CHECKING:
    from .batches import Batcher
    from .prompts import Prompts
    from .runtime import Runtime
    from .scoring import Choice, Scorer

# What stands for "no input" (Zhao et al. 2021, section 4); their probabilities are averaged.
_CONTENT_FREE = ("N/A", "[MASK]", "")


class LabelScorer(InProcess):
    """Lets the model say how likely it finds each label.

    Attributes:
        prompt_hint: the prompt to use where the user names none; its schema holds the label alone.
        unsampled: True: temperature, seed and the like mean nothing here.
    """

    prompt_hint = "melt-label"
    unsampled = True
    _scorer: Scorer | None = None
    _batcher: Batcher[Choice, list[float]] | None = None

    def __init__(self, file: HFModel, options: AnnotatorOptions, versions: Mapping[str, str]) -> None:
        super().__init__(file, options, versions)
        self._calibrated = options.answer_format == "scoring"
        self.endpoint = f"hf/{options.answer_format}"
        self._priors: dict[tuple[object, ...], asyncio.Task[list[float]]] = {}

    def _prepare(self, runtime: Runtime, prompts: Prompts) -> None:
        from .scoring import Scorer

        self._scorer = Scorer(runtime)
        if not self._scorer.probe(prompts.tokens):
            self.notices.append(
                "The model does not read several labels together; each is read with the prompt"
            )
        how = ", ".join(repr(text) for text in _CONTENT_FREE)
        self.notices.append(
            "Labels are scored by the log-probability of the whole answer"
            + (f", divided by the mean probability with {how} for the utterance" if self._calibrated else "")
        )

    def _begin(self, thread: ThreadPoolExecutor, size: int) -> None:
        from .batches import Batcher

        assert self._scorer is not None
        self._batcher = Batcher(thread, self._scorer.score, size, self.notices)

    async def _end(self) -> None:
        priors, self._priors = list(self._priors.values()), {}
        for prior in priors:
            prior.cancel()
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await batcher.close()
        await asyncio.gather(*priors, return_exceptions=True)

    async def _answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        from .scoring import normalised

        field, labels = _labels(request)
        asked = self._choice(request, messages, field, labels)
        prior = await self._prior(request, messages, field, labels) if self._calibrated else []
        assert self._batcher is not None
        logs = normalised(await self._batcher.do(asked), prior)
        best = max(zip(logs, labels, strict=True), key=lambda pair: pair[0])[1]
        return Reply(
            request_key=request.key,
            utterance_id=request.utterance.id,
            attempt=attempt,
            raw=_answer_text(request, field, best),
            model=self.model,
            means="scoring",
            finish_reason="stop",
            input_tokens=len(asked.tokens),
            output_tokens=0,
            label_logprobs=as_json(
                {label_set_name(label, request.schema): p for label, p in zip(labels, logs, strict=True)}
            ),
        )

    def _choice(
        self, request: Request, messages: tuple[Message, ...], field: str, labels: Sequence[str]
    ) -> Choice:
        from .scoring import choice

        assert self._prompts is not None
        answers = [_answer_text(request, field, label) for label in labels]
        prefill = request.prefill
        if not all(answer.startswith(prefill) for answer in answers):
            raise AnnotatorError(
                f"Bad prefill {prefill!r} for scoring labels, expected the beginning of {answers[0]!r}"
            )
        prompt = self._prompts.text(messages, prefill)
        ends = [answer[len(prefill) :] for answer in answers]
        found = choice(self._prompts.tokens, prompt, ends, self._prompts.beginning(messages))
        self._fits(found.length)
        return found

    async def _prior(
        self, request: Request, messages: tuple[Message, ...], field: str, labels: Sequence[str]
    ) -> list[float]:
        """The labels' log-probabilities without an utterance; worked out once for each such prompt."""
        empty = [_without(messages, request, text) for text in _CONTENT_FREE]
        key = (empty[0], request.prefill, tuple(labels))
        if key not in self._priors:
            asked = [self._choice(request, m, field, labels) for m in empty]
            self._priors[key] = asyncio.ensure_future(self._mean(asked))
        # Others wait for it too: it goes on where this one is given up.
        return await asyncio.shield(self._priors[key])

    async def _mean(self, asked: Sequence[Choice]) -> list[float]:
        from .scoring import mean, normalised

        assert self._batcher is not None
        rows = await asyncio.gather(*(self._batcher.do(one) for one in asked))
        return mean([normalised(row) for row in rows])


def _labels(request: Request) -> tuple[str, list[str]]:
    """The answer's one field and its labels.

    Raises:
        AnnotatorError: the answer holds more than a label.
    """
    fields = list(request.schema.get("properties", ()))
    labels = label_names(request.schema)
    if fields != [request.schema.get(LABEL_KEY)] or not labels:
        raise AnnotatorError(
            f"Scoring gives a label and nothing else, but this prompt's answers have the fields {fields!r}; "
            "use a prompt whose schema is `label` or `option`, such as --prompt melt-label"
        )
    return fields[0], list(labels)


def _answer_text(request: Request, field: str, label: str) -> str:
    if in_words(request.schema):
        return label
    return json.dumps({field: label}, ensure_ascii=False)


def _without(messages: tuple[Message, ...], request: Request, text: str) -> tuple[Message, ...]:
    """The conversation with another text in the place of the utterance's.

    Raises:
        AnnotatorError: the last message does not hold the utterance as it is.
    """
    *before, last = messages
    head, words, tail = last.content.rpartition(request.utterance.words)
    if not words:
        raise AnnotatorError(
            "Calibration puts other words in the utterance's place, but the prompt's last message does not "
            f"hold the words of {request.utterance.id} as they are; use --answer-format scoring-plain"
        )
    return (*before, Message(last.role, head + text + tail))
