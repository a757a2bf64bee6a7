"""The arguments that `remelt build RECIPE` and `remelt plan RECIPE` share."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ..errors import InputError, bad_value

if TYPE_CHECKING:
    from ..annotators import AnnotatorOptions
    from ..engine import EngineOptions
    from ..recipes.options import BuildOptions, Member
    from ..resolution.base import ResolutionOptions

_VOTE = (
    "vote", "vote_threshold", "quorum", "ties", "weight", "reject", "abstain", "vote_sources", "vote_base",
    "vote_reference", "rater",
)  # fmt: skip


def melt_options(
    corpus: Annotated[str, typer.Option(help="Corpus folder or table file; `sample` is the bundled one.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make, or to go on with.")],
    annotator: Annotated[
        list[str] | None,
        typer.Option(
            help="openai/MODEL, openai-batch/MODEL (half the price, within a day), local/smollm2, "
            "local/PATH.gguf, local/HUB_ID, hf/HUB_ID, hf/FOLDER, mock, replay:FILE_OR_DATASET or "
            "replay:train=FILE,test=FILE. Several times for a vote of several."
        ),
    ] = None,
    panel: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Several annotators, each with its own settings (see docs/panel.md)."
        ),
    ] = None,
    vote: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="How several votes become a label (see docs/resolution.md); default: majority.",
        ),
    ] = "",
    vote_threshold: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="A majority has more than this share of the votes (0.5)."),
    ] = None,
    quorum: Annotated[int, typer.Option(min=1, metavar="N", help="Votes that any label needs.")] = 1,
    ties: Annotated[
        str, typer.Option(help="Where several labels lead: drop, first (annotator decides) or random.")
    ] = "drop",
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=W", help="Weight of a source's vote (1); several times."),
    ] = None,
    reject: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="A label that says that none fits; several times."),
    ] = None,
    abstain: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="A label that counts as no vote; several times."),
    ] = None,
    vote_sources: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B",
            help="The sources that count, in order; given several times, each is one name, commas and all. "
            "Default: all.",
        ),
    ] = None,
    vote_base: Annotated[
        str, typer.Option(metavar="RULE", help="The rule of the models before a human is asked.")
    ] = "majority",
    vote_reference: Annotated[
        str,
        typer.Option(metavar="LABEL", help="The label for which --vote consistency asks the second source."),
    ] = "neutral",
    rater: Annotated[
        str, typer.Option(metavar="NAME", help="The human of --vote human; default: drawn for each row.")
    ] = "",
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Publish although some of the annotators did not finish."),
    ] = False,
    splits: Annotated[
        str, typer.Option(help="Splits to build, with commas; default: all but MELD's dev.")
    ] = "",
    profile: Annotated[
        str,
        typer.Option(
            help="melt-release, melt-paper, clean, acted, any-speaker, sample, or a file; default: what "
            "suits the corpus, else clean."
        ),
    ] = "",
    keep_speaker: Annotated[
        list[str] | None, typer.Option(help="Keep this speaker whatever the rule says.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="Prompt name (see `remelt prompts`) or .md file.")] = "",
    turns: Annotated[
        int | None, typer.Option(min=0, help="Previous turns shown by a prompt with context.")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="Labels to choose from, with commas; default: MELT's seven.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Annotate at most N utterances.")] = None,
    name: Annotated[str, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for tables; may be given several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for tables (YAML, TOML).")] = None,
    base_url: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of an OpenAI-compatible server; several times for equal servers, used in turn."
        ),
    ] = None,
    label_column: Annotated[
        str,
        typer.Option(help="Column of the label in a replayed file; default: llm_label, new_label, label."),
    ] = "",
    answer_format: Annotated[
        str,
        typer.Option(
            help="auto, json_schema, json_object, grammar, prefill or prompt; hf/ also scoring and "
            "scoring-plain."
        ),
    ] = "auto",
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="Ask for the labels' log-probabilities (soft labels).")
    ] = False,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="Sampling temperature; default: MELT's 1.0.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed; mixed with each utterance's id.")] = 0,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tokens of a reply at most, a reasoning model's thinking included; default: 512.",
        ),
    ] = None,
    reasoning_effort: Annotated[
        str, typer.Option(metavar="TEXT", help="How hard a reasoning model thinks: minimal, low, ...")
    ] = "",
    budget: Annotated[
        float | None,
        typer.Option(metavar="USD", help="US dollars that all replies in OUT may cost; ends the run (3)."),
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option(min=0, help="Ask about at most N utterances in this run (3).")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Send nothing new after so many minutes (3).")
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Prices and context sizes of models (YAML, TOML) before ours."),
    ] = None,
    rpm: Annotated[
        float | None,
        typer.Option(metavar="N", help="Requests a minute at most; default: the server's limit."),
    ] = None,
    tpm: Annotated[
        float | None, typer.Option(metavar="N", help="Tokens a minute at most; default: the server's limit.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight at most.")] = 8,
    least_concurrency: Annotated[
        int, typer.Option(min=1, help="Requests in flight that a struggling server is left with.")
    ] = 1,
    retries: Annotated[int, typer.Option(min=0, help="How often an unusable answer is asked again.")] = 2,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for one reply.")] = 120.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a local model.")] = 1,
    slots: Annotated[int | None, typer.Option(min=1, help="Requests a local model works on at once.")] = None,
    context: Annotated[int, typer.Option(min=256, help="Tokens of context of a local model.")] = 2048,
    device: Annotated[str, typer.Option(help="cpu or cuda, for hf/; default: cuda where there is one.")] = "",
) -> BuildOptions:
    """The options of a recipe from the command line; those of MELT, see `recipe_options` for others.

    Raises:
        InputError: a value that cannot be used.
    """
    from ..corpora import from_options
    from ..recipes.options import RECIPE, BuildOptions

    given = dict(locals())
    wanted = _list(splits)
    members = _members(annotator or [], panel)
    specs = [member if isinstance(member, str) else member.annotator for member in members]
    return BuildOptions(
        corpus=corpus,
        out=out,
        annotator=members[0] if len(members) == 1 else members,
        corpus_name=name or None,
        mapping=from_options(column or [], mapping, name or None),
        splits=wanted if splits else None,
        profile=profile or None,
        keep_speakers=tuple(keep_speaker or ()),
        prompt=prompt or None,
        turns=turns,
        labels=_list(labels) or None,
        limit=limit,
        temperature=RECIPE if temperature is None else temperature,
        seed=seed,
        max_tokens=RECIPE if max_tokens is None else max_tokens,
        reasoning_effort=reasoning_effort or None,
        engine=_engine(given),
        connection=_connection(given, specs),
        resolution=_resolution(given),
        allow_missing=allow_missing,
    )


def recipe_options(helps: Mapping[str, str] | None = None, **defaults: Any) -> Callable[..., BuildOptions]:
    """The same arguments with other defaults, for the commands of another recipe.

    Args:
        helps: other help texts by the argument's name.
        **defaults: other defaults, as the command line gives them (`temperature=0.02`, `reject=["other"]`).

    Raises:
        TypeError: there is no such argument.
    """
    helps = helps or {}
    known = {p.name: p for p in _parameters(melt_options)}
    for name in (*defaults, *helps):
        if name not in known:
            raise TypeError(f"melt_options has no argument {name!r}")
    for name, text in helps.items():
        kind, option = get_args(known[name].annotation)
        option = copy.copy(option)
        option.help = text
        known[name] = known[name].replace(annotation=Annotated[kind, option])

    def options(**values: Any) -> BuildOptions:
        return melt_options(**values)

    parameters = [p.replace(default=defaults.get(p.name, p.default)) for p in known.values()]
    options.__dict__["__signature__"] = inspect.Signature(parameters)
    return options


def vote_options() -> Callable[..., ResolutionOptions | None]:
    """The arguments of the vote alone, for commands that decide anew what a dataset's votes come to."""

    def options(**values: Any) -> ResolutionOptions | None:
        found = _resolution(values)
        if found is not None and not values["vote"]:
            raise InputError("How to vote is said by --vote RULE; the other arguments of the vote go with it")
        return found

    helps = {
        "vote": "How the votes become a label (see docs/resolution.md); default: the dataset's own rule.",
        "seed": "Seed of what a rule draws.",
    }
    parameters = [p for p in _parameters(recipe_options(helps)) if p.name in (*_VOTE, "seed")]
    options.__dict__["__signature__"] = inspect.Signature(parameters)
    return options


def _members(annotators: Sequence[str], panel: Path | None) -> tuple[str | Member, ...]:
    if annotators and panel is not None:
        raise InputError("--annotator and --panel: give one of them; a panel file names all annotators")
    if panel is not None:
        from ..recipes.panel.file import read_panel

        return read_panel(panel)
    if not annotators:
        raise InputError("Nobody is asked: give --annotator SPEC, or --panel FILE for several")
    return tuple(annotators)


def _resolution(given: dict[str, Any]) -> ResolutionOptions | None:
    """The rule that was asked for; None where no argument says anything, so that the recipe decides."""
    usual = {p.name: p.default for p in _parameters(melt_options)}
    if all((given[name] or None) == (usual[name] or None) for name in _VOTE):
        return None
    from ..recipes.resolving import options_from

    weights = {}
    for text in given["weight"] or []:
        source, sign, value = text.rpartition("=")
        try:
            weights[source] = float(value)
        except ValueError:
            sign = ""
        if not sign or not source:
            raise InputError(f"Bad --weight {text!r}, expected SOURCE=W, such as openai/gpt-4o=0.5")
    record = {
        "rule": given["vote"] or "majority",
        "threshold": given["vote_threshold"],
        "quorum": given["quorum"],
        "ties": given["ties"],
        "reject": [label.strip().casefold() for label in given["reject"] or []],
        "abstain": [label.strip().casefold() for label in given["abstain"] or []],
        "reference": given["vote_reference"].strip().casefold(),
        "weights": weights,
        "sources": _names(given["vote_sources"] or []),
        "base": given["vote_base"],
        "human": given["rater"] or None,
        "seed": given["seed"],
    }
    return options_from({name: value for name, value in record.items() if value is not None})


def _engine(given: dict[str, Any]) -> EngineOptions:
    from ..engine import EngineOptions

    if given["least_concurrency"] > given["concurrency"]:
        raise InputError(
            f"Bad --least-concurrency {given['least_concurrency']}, expected at most --concurrency "
            f"{given['concurrency']}"
        )
    for option in ("budget", "deadline", "rpm", "tpm"):
        value = given[option]
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"Bad --{option} {value!r}, expected a number above 0")
    return EngineOptions(
        concurrency=given["concurrency"],
        retries=given["retries"],
        least_concurrency=given["least_concurrency"],
        requests_per_minute=given["rpm"],
        tokens_per_minute=given["tpm"],
        budget=given["budget"],
        max_rows=given["max_rows"],
        deadline=None if given["deadline"] is None else 60 * given["deadline"],
    )


def _connection(given: dict[str, Any], specs: Sequence[str]) -> AnnotatorOptions:
    from ..annotators import AnnotatorOptions
    from ..annotators.base import ANSWER_FORMATS

    known: dict[str, Any] = {form: form for form in ANSWER_FORMATS}
    if given["answer_format"] not in known:
        raise InputError(bad_value("answer format", given["answer_format"], ANSWER_FORMATS))
    for option, schemes in (("base_url", ("openai",)), ("label_column", ("replay",))):
        if given[option] and not any(spec.startswith(schemes) for spec in specs):
            flag, whom = f"--{option.replace('_', '-')}", ", ".join(map(repr, specs))
            raise InputError(f"{flag} has no effect on {whom}; it is for {schemes[0]}")
    first, *more = given["base_url"] or [None]
    return AnnotatorOptions(
        base_url=first,
        more_urls=tuple(more),
        timeout=given["timeout"],
        answer_format=known[given["answer_format"]],
        logprobs=given["logprobs"],
        concurrency=given["concurrency"],
        seed=given["seed"],
        threads=given["threads"],
        slots=given["slots"],
        context=given["context"],
        prices=given["prices"],
        device=given["device"] or None,
        column=given["label_column"] or None,
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _names(given: Sequence[str]) -> tuple[str, ...]:
    """Names with commas between, or, given several times, each as it stands: some specs hold commas."""
    return _list(given[0]) if len(given) == 1 else tuple(name.strip() for name in given if name.strip())


def taking(*sources: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the arguments of some sources before its own.

    The command's first parameters take what the sources return, in their order. Several commands share a
    list of arguments so.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = [_parameters(source) for source in sources]
        own = _parameters(command)[len(sources) :]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            mine = {p.name: values.pop(p.name) for p in own}
            made = [
                source(**{p.name: values[p.name] for p in parameters})
                for source, parameters in zip(sources, shared, strict=True)
            ]
            command(*made, **mine)

        parameters = [*(p for group in shared for p in group), *own]
        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters with their annotations worked out; what only a type checker imports is anything."""
    unseen = {"BuildOptions": Any, "VoiceOptions": Any, "PartOptions": Any}
    signature = inspect.signature(function, locals=unseen, eval_str=True)
    return [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
