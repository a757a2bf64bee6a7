"""`remelt evaluate`: SER models trained on old and on new labels, and which labels make the better ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import InputError
from .output import check_json, console, put_json

_RUN = "run"


class _RunByDefault(TyperGroup):
    """What begins with no command's name is what is to be evaluated."""

    default = _RUN

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


evaluate_app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    help="Train SER models on old and new labels and see which labels make the better model. "
    "`remelt evaluate OUT --system melt ...` is `remelt evaluate run OUT --system melt ...`.",
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A folder made by `remelt evaluate`.")]
Plain = Annotated[bool, typer.Option("--plain", help="No colours, no lines.")]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write it as JSON; - prints it only.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(evaluate_app, name="evaluate")


@evaluate_app.command(_RUN)
def run(
    source: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="A dataset folder by remelt, folds by `remelt augment`, or a corpus: DIR, CORPUS=DIR, "
            "CORPUS=DIR@train+dev.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run's folder; called again it goes on.")],
    system: Annotated[str, typer.Option(help="Which system; see `remelt evaluate systems`.")],
    preset: Annotated[str, typer.Option(help="quick (a processor will do) or paper.")] = "quick",
    labels: Annotated[
        str,
        typer.Option(
            help="Labels to train on, with commas: old, new, an annotator's name; default: the system's."
        ),
    ] = "",
    tests: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR,...",
            help="Corpora to test on, with commas or several times; NAME=DIR@dev for a split.",
        ),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The dataset's corpus: its clips, and the splits and turns that the dataset does not have.",
        ),
    ] = None,
    labels_file: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Labels from a table, such as new=meld_train.csv."),
    ] = None,
    transcripts: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="Words a recogniser heard, by `remelt transcribe`."),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(metavar="LOW,HIGH", help="Scale of arousal, valence, dominance; default: the corpus's."),
    ] = "",
    speech: Annotated[
        str, typer.Option(help="Speech encoder: preset, Hub id, folder; none. Default: the preset's.")
    ] = "",
    text: Annotated[str, typer.Option(help="Text encoder, likewise.")] = "",
    seeds: Annotated[str, typer.Option(help="Each training is repeated with each, with commas.")] = "0",
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs at most.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows (or dialogues) in a batch.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; default: cuda where there is one.")] = "",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the processor.")] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Another option of the training; several times."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the system; several times."),
    ] = None,
    class_rule: Annotated[
        str,
        typer.Option(help="Rows that train for another corpus's classes: both labels among them, or own."),
    ] = "both",
    limit: Annotated[int | None, typer.Option(min=1, help="Train on so many rows, drawn at random.")] = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Cached features, to share between runs; default: RUN/features."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap samples of the intervals.")] = 2000,
    json: Json = None,
    plain: Plain = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention.")] = False,
) -> None:
    """Train a system under each of the labels, test it, and compare.

    RUN gets config.json, trials/, results.json, report.md and a figure. What is finished is not done again.
    Exit codes: 0 done, 2 bad use or input, 3 interrupted.
    """
    from ..recipes.evaluation.base import EvaluationOptions
    from ..recipes.evaluation.run import evaluate
    from .progress import reporter

    check_json(json)
    training: dict[str, Any] = dict(_pairs("--train", train))
    given = {
        "epochs": epochs,
        "lr": lr,
        "batch_size": batch_size,
        "device": device or None,
        "threads": threads,
    }
    training |= {name: value for name, value in given.items() if value is not None}
    options = EvaluationOptions(
        source=source,
        out=out,
        system=system,
        preset=preset,
        labels=_list(labels),
        tests=_pairs("--tests", [part for text_ in tests or () for part in _list(text_)]),
        seeds=_seeds(seeds),
        speech=speech or None,
        text=text or None,
        training=training,
        settings=_pairs("--set", set_),
        resamples=resamples,
        limit=limit,
        class_rule=class_rule,
        clips=corpus,
        label_files={name: Path(path) for name, path in _pairs("--labels-file", labels_file).items()},
        transcripts={name: Path(path) for name, path in _pairs("--transcripts", transcripts).items()},
        scale=_scale(scale),
        features=features,
    )
    outcome = evaluate(options, reporter(plain, quiet))
    if put_json(json, outcome.results) or quiet:
        return
    from .evaluate_tables import show

    show(outcome.results, console(plain))
    typer.echo(f"Report   {outcome.out / 'report.md'}")
    typer.echo(f"Figure   {outcome.out / 'overview.png'}")


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(flag: str, given: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InputError(f"Bad {flag} {text!r}, expected NAME=VALUE")
        if name.strip() in found:
            raise InputError(f"Bad {flag} {text!r}: {name.strip()!r} is given twice")
        found[name.strip()] = value.strip()
    return found


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _list(text))
    except ValueError:
        raise InputError(f"Bad --seeds {text!r}, expected whole numbers with commas, such as 0,1,2") from None


def _scale(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"Bad --scale {text!r}, expected the lowest and highest value, such as 1,7"
        ) from None
    return low, high


@evaluate_app.command("compare")
def compare(
    first: RunFolder,
    second: Annotated[Path, typer.Argument(metavar="RUN2", help="Another one.")],
    labels: Annotated[
        str,
        typer.Option(
            help="Labels of RUN and of RUN2 to compare, with a comma between; default: the same of both."
        ),
    ] = "",
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap samples of the intervals.")] = 2000,
    json: Json = None,
    plain: Plain = False,
) -> None:
    """Compare two runs on the test rows that both were tested on, with intervals and p."""
    from ..recipes.evaluation.compare import compare_runs
    from .evaluate_tables import show_comparison

    check_json(json)
    found = compare_runs(first, second, _list(labels), resamples)
    if not put_json(json, found):
        show_comparison(found, console(plain))


@evaluate_app.command("card")
def card(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The dataset folder.")],
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Runs of `remelt evaluate` on it.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take what was written out again.")] = False,
) -> None:
    """Write into the dataset's card what SER models reach that were trained on its labels."""
    from ..recipes.evaluation.card import remove_evaluation, write_evaluation

    if remove:
        if runs:
            raise InputError("--remove takes no runs")
        remove_evaluation(out)
        typer.echo(f"Card     {out / 'README.md'}: the evaluation was taken out")
        return
    if not runs:
        raise InputError("No run is named: remelt evaluate card OUT RUN...")
    record = write_evaluation(out, runs)
    typer.echo(
        f"Card     {out / 'README.md'}: {len(record['runs'])} evaluation(s) under 'What SER models reach'"
    )


@evaluate_app.command("systems")
def systems(
    name: Annotated[str, typer.Argument(help="Show this one with all its settings.")] = "",
    json: Json = None,
    plain: Plain = False,
) -> None:
    """List the systems; of one, its settings with choices, and what its presets say."""
    from ..recipes.evaluation.catalogue import described_system, described_systems
    from .evaluate_tables import show_system, show_systems

    found: Any = described_system(name) if name else described_systems()
    if put_json(json, found):
        return
    if name:
        show_system(found, console(plain))
    else:
        show_systems(found, console(plain))


@evaluate_app.command("encoders")
def encoders(json: Json = None, plain: Plain = False) -> None:
    """List the encoders that have a name here; any Hub id or folder of a model works as well."""
    from ..recipes.evaluation.catalogue import described_encoders
    from .evaluate_tables import show_encoders

    found = described_encoders()
    if not put_json(json, found):
        show_encoders(found, console(plain))
