"""What a build will ask, cost and take, told before anything is asked."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batch_log import BatchLog
from ..errors import InputError
from ..journal import FILE, Journal
from ..records import Message, Reply, Request, canonical_json
from . import plan_notes
from .plan_notes import Cost, Duration, Facts, Tokens
from .workspace import check_owner

if TYPE_CHECKING:
    from ..annotators import AnnotatorOptions
    from ..annotators.known_models import KnownModel
    from ..protocols import Annotator, Check
    from .panel.members import Participant
    from .requests import Questions

_AT_A_TIME = 1000
_FREE_TEXT = 120
_WORDS = "calm and a little bright with soft steady tones that rise towards the end of the line "


@dataclass(frozen=True)
class Shown:
    """One rendered prompt, and who of several annotators gets it."""

    utterance_id: str
    messages: tuple[Message, ...]
    prefill: str
    annotators: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildPlan:
    """What a build would do.

    Attributes:
        out: the dataset folder, which need not exist.
        annotator, model, endpoint: who would be asked.
        corpus: the corpus's name.
        splits: the splits that would be built.
        profile: the selection profile.
        utterances: in these splits.
        rows: of them, those to annotate.
        answered: of these, those that OUT's journal settles already.
        rows_left: rows to ask, now or later.
        rows_now: rows to ask in one run (fewer than `rows_left` only with `max_rows`); all figures below
            are for these.
        repairs: of them, those that begin with a repair turn, because they have an unusable answer.
        spent: US dollars of OUT so far.
        tokens: what goes in and comes out.
        price: at the list price; None for an annotator that is not paid for, or whose price is not known.
        batch_price: through the Batch API; None where that is not known either.
        batched: whether the annotator uses the Batch API, so that `batch_price` is the one that counts.
        free: whether there is nobody to pay.
        duration: how long it takes at least.
        context: tokens of prompt and reply together that the model takes; None where not known.
        too_long: ids of the rows whose prompt and reply may not fit into the model's context.
        prompts: some of the prompts, spread over the rows to ask; what several annotators get alike stands
            there once.
        notes: what else to know, one sentence each.
        members: the plan of each of several annotators, under its own name; empty for one. With several,
            the figures above are of all together: `answered`, `rows_left`, `rows_now` and `repairs` count
            an utterance once for each annotator, `price` adds up what each pays in the way it takes, and
            `duration` is that of the longest of those that work side by side.
    """

    out: Path
    annotator: str
    model: str
    endpoint: str
    corpus: str
    splits: tuple[str, ...]
    profile: str
    utterances: int
    rows: int
    answered: int
    rows_left: int
    rows_now: int
    repairs: int
    spent: float
    tokens: Tokens
    price: Cost | None
    batch_price: Cost | None
    batched: bool
    free: bool
    duration: Duration
    context: int | None
    too_long: tuple[str, ...]
    prompts: tuple[Shown, ...]
    notes: tuple[str, ...]
    members: tuple[BuildPlan, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON can hold it."""
        members = [member.as_dict() for member in self.members]
        return {**asdict(replace(self, members=())), "out": str(self.out), "members": members}


def make_plan(member: Participant, recipe: str, show: int) -> BuildPlan:
    """The plan of what one annotator is asked.

    Args:
        member: who is asked, and what; the annotator is not started.
        recipe: the owner that OUT must have.
        show: how many prompts to show.

    Raises:
        InputError: OUT belongs to another recipe, its journal cannot be read, or the prices file is bad.
    """
    if show < 0:
        raise InputError(f"Bad number of prompts to show {show!r}, expected a whole number from 0")
    questions, annotator = member.questions, member.annotator
    rows = questions.rows
    known, facts, sizes = _facts(member, recipe)
    now = known.left[: facts.rows]
    model, batched = facts.model, facts.batched
    price = _cost(facts.tokens, sizes, model, batch=False) if model else None
    has_batch = model is not None and model.batch_input is not None
    batch_price = _cost(facts.tokens, sizes, model, batch=True) if model and has_batch else None
    facts = replace(facts, price=batch_price if batched and batch_price else price)
    too_long = _too_long(now, sizes, facts)
    return BuildPlan(
        out=member.options.out,
        annotator=annotator.name,
        model=annotator.model,
        endpoint=annotator.endpoint,
        corpus=rows.corpus.name,
        splits=rows.splits,
        profile=rows.profile,
        utterances=sum(u.split in rows.splits for u in rows.corpus.utterances),
        rows=len(questions.requests),
        answered=len(questions.requests) - len(known.left),
        rows_left=len(known.left),
        rows_now=len(now),
        repairs=sum(r.key in known.begun for r in now),
        spent=known.spent,
        tokens=facts.tokens,
        price=price,
        batch_price=batch_price,
        batched=batched,
        free=facts.free,
        duration=plan_notes.duration(facts),
        context=facts.context,
        too_long=too_long,
        prompts=_shown(now or questions.requests, show),
        notes=(*known.notes, *plan_notes.notes(facts, len(too_long)), *annotator.notices),
    )


def _facts(member: Participant, recipe: str) -> tuple[_Known, Facts, list[int]]:
    """What the journal says, what is known of the run, and the tokens of each prompt."""
    from ..annotators import known_models

    annotator, engine, connection = member.annotator, member.engine, member.options.connection
    assert connection is not None
    known = _look_up(member.options.out, recipe, member.questions, member.check, engine.retries)
    now = known.left[: engine.max_rows]
    free = getattr(annotator, "estimate", None) is None
    model = None if free else known_models.find(annotator.model, connection.prices)
    tokens, sizes = _tokens(now, known.replies, annotator, model, connection)
    facts = Facts(
        annotator=annotator,
        model=model,
        free=free,
        batched=bool(getattr(annotator, "batched", False)),
        connection=connection,
        engine=engine,
        rows=len(now),
        rows_left=len(known.left),
        tokens=tokens,
        price=None,
        spent=known.spent,
        seconds=_median([r.seconds for r in known.replies if r.seconds > 0]),
        context=plan_notes.context_size(annotator, model, connection),
    )
    return known, facts, sizes


def _too_long(requests: Sequence[Request], sizes: Sequence[int], facts: Facts) -> tuple[str, ...]:
    most = facts.tokens.output_most_row or 0
    return tuple(
        request.utterance.id
        for request, size in zip(requests, sizes, strict=True)
        if facts.context is not None and size + most > facts.context
    )


def check_budget(annotator: Annotator, requests: Sequence[Request], budget: float | None) -> None:
    """Makes sure that a budget can be kept, before anything is asked.

    Raises:
        InputError: the annotator is paid for, and the price or the length of its replies has no limit;
            the message says what to give.
    """
    from ..engine.budget import bound

    estimate = getattr(annotator, "estimate", None)
    if budget is not None and estimate is not None and requests:
        bound(estimate(requests[0], requests[0].messages), requests[0])


@dataclass(frozen=True)
class _Known:
    """What OUT's journal says: the rows still to ask, which of them were begun, the replies, the dollars."""

    left: tuple[Request, ...]
    begun: frozenset[str]
    replies: tuple[Reply, ...]
    spent: float
    notes: tuple[str, ...] = ()


def _look_up(out: Path, recipe: str, questions: Questions, check: Check, retries: int) -> _Known:
    """Which requests the engine would ask, by the same rule as it: see `engine`."""
    path, requests = out / ".remelt" / FILE, questions.requests
    if not path.is_file():
        return _Known(tuple(requests), frozenset(), (), 0.0)
    check_owner(out, recipe, questions.rows.corpus.name)
    left: list[Request] = []
    begun: set[str] = set()
    replies: list[Reply] = []
    with closing(Journal(path, read_only=True)) as journal:
        for start in range(0, len(requests), _AT_A_TIME):
            part = requests[start : start + _AT_A_TIME]
            known = journal.replies([r.key for r in part])
            for request in part:
                history = known.get(request.key, ())
                replies += [replace(r, raw="", label_logprobs="") for r in history]
                settled = bool(history) and (
                    len(history) > retries or check(request, history[-1]).status == "valid"
                )
                if not settled:
                    left.append(request)
                    if history:
                        begun.add(request.key)
        spent = journal.spent()
        notes = tuple(_under_way(BatchLog(journal), out))
    return _Known(tuple(left), frozenset(begun), tuple(replies), spent, notes)


def _under_way(log: BatchLog, out: Path) -> Iterator[str]:
    if batches := log.unfinished():
        rows = sum(record.rows for record in batches)
        yield (
            f"{len(batches):,} batches with {rows:,} rows are not done (remelt batches {out}); a build takes "
            "in what they bring and does not ask it again. They may cost up to "
            f"${log.bound():,.2f}, which is not in what is spent"
        )


def _tokens(
    requests: Sequence[Request],
    replies: Sequence[Reply],
    annotator: Annotator,
    model: KnownModel | None,
    connection: AnnotatorOptions,
) -> tuple[Tokens, list[int]]:
    """The tokens of all requests together, and the prompt's of each."""
    from ..annotators.base import in_words
    from ..annotators.estimates import Estimator
    from ..annotators.tokens import counting

    if getattr(annotator, "immediate", False):
        return Tokens(0, 0, 0, None, "", 0, None, ""), [0] * len(requests)
    counted = counting(annotator.model, model.encoding if model else None)
    words = bool(requests) and in_words(requests[0].schema)
    sent = connection.answer_format in (("json_schema",) if words else ("auto", "json_schema"))
    estimator = Estimator(
        annotator.model, model, counter=counted.count if counted.exact else None, schema=sent
    )
    estimates = [estimator.estimate(request, request.messages) for request in requests]
    sizes = [estimate.input_tokens for estimate in estimates]
    most = estimates[0].output_tokens if estimates else None
    each, basis = _expected_output(requests, replies, model, counted.count)
    if each is not None and most is not None:
        each = min(each, float(most))
    shared = 0
    if len(requests) > 1:
        shared = counted.count(_beginning(requests)) + estimator.schema_tokens(requests[0].schema)
    tokens = Tokens(
        input=sum(sizes),
        output=None if each is None else round(each * len(requests)),
        output_most=None if most is None else most * len(requests),
        output_most_row=most,
        output_basis=basis,
        shared=shared,
        encoding=counted.encoding,
        problem=counted.problem,
    )
    return tokens, sizes


def _expected_output(
    requests: Sequence[Request],
    replies: Sequence[Reply],
    model: KnownModel | None,
    count: Callable[[str], int],
) -> tuple[float | None, str]:
    """Tokens of one reply as far as they can be expected, and what that rests on."""
    measured = _median([r.output_tokens for r in replies if r.attempt == 0 and r.output_tokens])
    if measured is not None:
        return measured, "as the replies so far"
    if model is not None and model.reasoning:
        return None, "a reasoning model thinks as long as it likes"
    if not requests:
        return None, ""
    answer = canonical_json(sample_answer(requests[0].schema))
    return float(count(answer)), "an estimate from the answer's schema"


def _beginning(requests: Sequence[Request]) -> str:
    """The text with which all prompts begin."""
    texts = ["\n".join(m.content for m in r.messages) for r in requests]
    # What the first and the last in alphabetical order have in common, all between them have.
    first, last = min(texts), max(texts)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:same]


def _cost(tokens: Tokens, sizes: Sequence[int], model: KnownModel, batch: bool) -> Cost:
    sent = sum(model.cost(size, 0, batch=batch) for size in sizes)

    def with_replies(output: int | None) -> float | None:
        return None if output is None else sent + model.cost(0, output, batch=batch)

    return Cost(expected=with_replies(tokens.output), most=with_replies(tokens.output_most))


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _shown(requests: Sequence[Request], count: int) -> tuple[Shown, ...]:
    """So many prompts, the first and the last among them, the others evenly between."""
    count = min(count, len(requests))
    places = [round(n * (len(requests) - 1) / max(1, count - 1)) for n in range(count)]
    return tuple(Shown(requests[n].utterance.id, requests[n].messages, requests[n].prefill) for n in places)


def sample_answer(schema: Mapping[str, Any]) -> Any:
    """An answer of likely length: texts are as long as half of what `x-remelt-max-length` allows.

    >>> sample_answer({"type": "object", "properties": {"label": {"enum": ["joy", "neutral"]}}})
    {'label': 'neutral'}
    """
    if "enum" in schema:
        return max(schema["enum"], key=lambda value: len(str(value)))
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return {name: sample_answer(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample_answer(schema.get("items", {}))]
    if kind in ("number", "integer"):
        return 1
    if kind == "boolean":
        return True
    length = int(schema.get("x-remelt-max-length", _FREE_TEXT)) // 2
    return (_WORDS * (length // len(_WORDS) + 1))[:length]
