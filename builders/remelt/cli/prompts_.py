"""`remelt prompts`: the prompts that come with remelt, and what would be sent for one row."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..errors import InputError

app = typer.Typer(help="List the prompts, or show one as it would be sent.", invoke_without_command=True)


def register(root: typer.Typer) -> None:
    root.add_typer(app, name="prompts")


@app.callback()
def list_prompts(context: typer.Context) -> None:
    """List the prompts that come with remelt."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    from .. import prompting

    table = Table("name", "version", "schema", "fields", "prefill", "what it is", title="Prompts")
    for name in prompting.names():
        p = prompting.load(name)
        table.add_row(
            p.name, p.version, p.schema, ", ".join(p.fields), "yes" if p.prefill else "no", p.description
        )
    Console().print(table)


@app.command("show")
def show(
    prompt: Annotated[str, typer.Argument(help="Prompt name or .md file.")],
    corpus: Annotated[str, typer.Option(help="Corpus folder; `sample` is the bundled one.")] = "",
    row: Annotated[str, typer.Option(help="Utterance id, such as meld/train/dia0_utt3.")] = "",
    turns: Annotated[int | None, typer.Option(min=0, help="Previous turns to show.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the answer schema, too.")] = False,
) -> None:
    """Print a prompt file, or with --corpus and --row the messages that would be sent for that row."""
    from .. import answers, prompting
    from ..labels import LABEL_SETS, MELT

    found = prompting.load(prompt)
    labels = LABEL_SETS.get(found.labels, MELT)
    if bool(corpus) != bool(row):
        raise InputError(
            "--row and --corpus go together: `remelt prompts show melt --corpus sample --row ID`"
        )
    if not row:
        typer.echo(found.text)
    else:
        from .. import corpora

        utterances = corpora.load(corpus).utterances
        chosen = next((u for u in utterances if u.id == row), None)
        if chosen is None:
            raise InputError(f"No utterance {row!r} in {corpus}; ids look like {utterances[0].id!r}")
        count = found.turns if turns is None else turns
        before = prompting.Dialogues(utterances).before(chosen, count)
        messages, prefill = prompting.render(found, chosen, labels, before)
        for message in messages:
            typer.echo(f"--- {message.role}\n{message.content}")
        if prefill:
            typer.echo(f"--- assistant (with --answer-format prefill)\n{prefill}")
    if schema:
        typer.echo(f"--- schema {found.schema}")
        typer.echo(json.dumps(answers.load_schema(found.schema, labels), indent=2, ensure_ascii=False))
