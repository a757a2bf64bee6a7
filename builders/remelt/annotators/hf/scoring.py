"""Log-probabilities of all labels of a prompt in one pass of the model.

The labels' texts are put behind the prompt next to each other; each sees the prompt and itself but none of
the others, and stands at the position it would have alone. The prompt is thus read once, whatever the number
of labels. Models that do not take such a mask read the prompt once for each label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from .prompts import common
from .runtime import Runtime

_PROBES = (
    ('The word for a feeling is "', ("joy", "sadness", "surprise")),
    ('Anna said that she would come later. She is "', ("happy", "unhappy", "in between")),
)


@dataclass(frozen=True)
class Choice:
    """Several texts of which one follows a prompt.

    Attributes:
        tokens: the prompt, up to where the texts part.
        shared: what prompts with the same system message begin with.
        endings: the tokens of each text; at least one each.
    """

    tokens: Sequence[int]
    shared: Sequence[int]
    endings: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """Tokens that are read."""
        return len(self.tokens) + sum(map(len, self.endings))

    @property
    def group(self) -> Hashable:
        return tuple(self.shared)


def choice(
    tokenize: Callable[[str], list[int]], prompt: str, texts: Sequence[str], shared: Sequence[int]
) -> Choice:
    """A choice between texts.

    Prompt and text are made into tokens together, as a tokenizer may join the end of one with the beginning
    of the other.
    """
    whole = [tokenize(prompt + text) for text in texts]
    size = min(common(whole), min(map(len, whole)) - 1)
    return Choice(whole[0][:size], shared, tuple(tuple(tokens[size:]) for tokens in whole))


def normalised(logs: Sequence[float], prior: Sequence[float] = ()) -> list[float]:
    """Log-probabilities that add up to 1.

    Args:
        logs: natural logs of numbers in the right proportion.
        prior: log-probabilities without an input; each is divided out (Zhao et al. 2021, section 4:
            W = diag(p_cf)^-1, b = 0).

    >>> prior = normalised([math.log(1), math.log(3)])
    >>> [round(math.exp(p), 6) for p in prior]
    [0.25, 0.75]
    >>> [round(math.exp(p), 6) for p in normalised([0.0, 0.0], prior)]
    [0.75, 0.25]
    """
    divided = [a - b for a, b in zip(logs, prior, strict=True)] if prior else list(logs)
    return [value - _log_sum(divided) for value in divided]


def mean(rows: Sequence[Sequence[float]]) -> list[float]:
    """The log of the mean probabilities of several rows of log-probabilities."""
    return [_log_sum(column) - math.log(len(rows)) for column in zip(*rows, strict=True)]


def _log_sum(values: Sequence[float]) -> float:
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))


class Scorer:
    """Scores labels with a model.

    Attributes:
        packed: whether all labels of a prompt are read together; found out by `probe`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.packed = runtime.shares

    def probe(self, tokenize: Callable[[str], list[int]]) -> bool:
        """Finds out whether the model takes labels together; returns `packed`."""
        probes = [choice(tokenize, prompt, texts, ()) for prompt, texts in _PROBES]
        if self.packed:
            together = self._runtime.guarded(lambda: self._packed(probes))
            alone = self._runtime.guarded(lambda: self._alone(probes))
            apart = max(
                abs(a - b) for x, y in zip(together, alone, strict=True) for a, b in zip(x, y, strict=True)
            )
            # bfloat16 has three digits; a mask that is not understood is off by whole units.
            self.packed = apart < (0.5 if self._runtime.device.type == "cuda" else 0.01)
        return self.packed

    def score(self, choices: Sequence[Choice]) -> list[list[float]]:
        """The log-probability of each text of each choice; see `Runtime.guarded` for the errors."""
        work = self._packed if self.packed else self._alone
        return self._runtime.guarded(lambda: work(choices))

    def _packed(self, choices: Sequence[Choice]) -> list[list[float]]:
        import torch

        runtime = self._runtime
        shared = runtime.shared([c.tokens for c in choices], choices[0].shared)
        rows = [_Row(c, len(shared)) for c in choices]
        width = max(len(row.tokens) for row in rows)
        mask = torch.stack([row.sees(width) for row in rows]).to(runtime.device)
        hidden = torch.zeros(mask.shape, dtype=runtime.dtype, device=runtime.device)
        hidden.masked_fill_(~mask, torch.finfo(runtime.dtype).min)
        tokens = torch.tensor([[0] * (width - len(row.tokens)) + row.tokens for row in rows])
        places = torch.tensor([[0] * (width - len(row.places)) + row.places for row in rows])
        keep = 1 + max(row.behind for row in rows)
        output = runtime.forward(
            tokens.to(runtime.device),
            hidden[:, None],
            places.to(runtime.device),
            runtime.cache(shared, len(rows)),
            keep=keep,
        )
        logits = output.logits[:, -keep:]
        return [row.scores(logits[n, keep - 1 - row.behind :]) for n, row in enumerate(rows)]

    def _alone(self, choices: Sequence[Choice]) -> list[list[float]]:
        import torch

        found: list[list[float]] = []
        for one in choices:
            rows = [[*one.tokens, *ending[:-1]] for ending in one.endings]
            width = max(map(len, rows))
            device = self._runtime.device
            tokens = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=device)
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
            places = (mask.cumsum(dim=-1) - 1).clamp(min=0)
            keep = max(map(len, one.endings))
            logits = self._runtime.forward(tokens, mask, places, None, keep=keep).logits[:, -keep:]
            found.append(
                [_sum(logits[n, keep - len(ending) :], ending) for n, ending in enumerate(one.endings)]
            )
        return found


class _Row:
    """One choice as a row of a batch.

    Attributes:
        tokens: what is read: the prompt without its remembered beginning, then all endings but their last
            tokens, which nothing follows.
        places: the position of each.
        behind: tokens read behind the prompt.
    """

    def __init__(self, one: Choice, remembered: int) -> None:
        self._endings, self._remembered = one.endings, remembered
        self._rest = len(one.tokens) - remembered
        size = len(one.tokens)
        self.tokens = list(one.tokens[remembered:])
        self.places = list(range(remembered, size))
        for ending in one.endings:
            self.tokens += ending[:-1]
            self.places += range(size, size + len(ending) - 1)
        self.behind = len(self.tokens) - self._rest

    def sees(self, width: int) -> Any:
        """Which tokens each token sees: a truth value for each pair, the row filled up on the left."""
        import torch

        fill, before = width - len(self.tokens), self._remembered
        seen = torch.zeros(width, before + width, dtype=torch.bool)
        seen[fill:, :before] = True
        own = seen[:, before:]
        # What fills up sees itself, as a token that sees nothing has no defined value.
        own.fill_diagonal_(True)
        prompt = fill + self._rest
        own[fill:prompt, fill:prompt] = torch.ones(self._rest, self._rest, dtype=torch.bool).tril()
        own[prompt:, fill:prompt] = True
        start = prompt
        for ending in self._endings:
            end = start + len(ending) - 1
            own[start:end, start:end] = torch.ones(end - start, end - start, dtype=torch.bool).tril()
            start = end
        return seen

    def scores(self, logits: Any) -> list[float]:
        """The log-probability of each ending, from the logits of the prompt's last token and what follows."""
        found, start = [], 1
        for ending in self._endings:
            end = start + len(ending) - 1
            places = [0, *range(start, end)]
            found.append(_sum(logits[places], ending))
            start = end
        return found


def _sum(logits: Any, tokens: Sequence[int]) -> float:
    """The log-probability of some tokens, from the logits at each one's place."""
    import torch

    wanted = torch.tensor(tokens, device=logits.device)[:, None]
    return float(torch.log_softmax(logits.double(), dim=-1).gather(-1, wanted).sum())
