"""The arguments about builds in parts, and about Ray's workers, that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..recipes.parts.options import PartOptions

Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Workers of Ray; default: one a processor.")
]
RayAddress = Annotated[
    str,
    typer.Option(metavar="ADDRESS", help="A running Ray cluster; default: Ray is started on this machine."),
]


def parts_options(
    engine: Annotated[
        str,
        typer.Option(
            help="Who does the parts of a build: local (this process) or ray (see docs/scale.md). Default: "
            "all rows in memory, and local parts for tables with over 200,000 rows."
        ),
    ] = "",
    part_rows: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Build in parts of N rows of the corpus; default: 20,000."),
    ] = None,
    workers: Workers = None,
    ray_address: RayAddress = "",
) -> PartOptions | None:
    """How a build is done in parts, from the command line; None where nothing was asked for.

    Raises:
        InputError: a value that cannot be used, or that has no effect.
    """
    if not (engine or part_rows or workers or ray_address):
        return None
    from ..recipes.parts.options import PartOptions

    return PartOptions(rows=part_rows, engine=engine or "local", workers=workers, address=ray_address or None)


def ray_options(
    engine: Annotated[
        str, typer.Option(help="local (this machine), or ray: Ray's workers share the clips (docs/scale.md).")
    ] = "local",
    workers: Workers = None,
    ray_address: RayAddress = "",
) -> PartOptions | None:
    """Who listens to clips, from the command line; None for this process alone.

    Raises:
        InputError: a value that cannot be used, or that has no effect.
    """
    from ..recipes.parts.options import PartOptions

    options = PartOptions(engine=engine, workers=workers, address=ray_address or None)
    return options if options.engine == "ray" else None
