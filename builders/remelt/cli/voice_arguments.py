"""The arguments about sound that `remelt build` and `remelt plan` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..recipes.listening.voices import VoiceOptions


def voice_options(
    audio: Annotated[
        str,
        typer.Option(help="The sound in the dataset: flac (16 kHz mono), original, none, or auto."),
    ] = "auto",
    acoustics: Annotated[
        str,
        typer.Option(help="Who measures pitch and loudness (see docs/acoustics.md), none, or auto."),
    ] = "auto",
    functionals: Annotated[
        bool, typer.Option("--functionals", help="All 88 functionals of eGeMAPS besides.")
    ] = False,
    transcripts: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Join the transcripts of a folder by `remelt transcribe`."),
    ] = None,
    pitch_by: Annotated[
        str, typer.Option(help="What low, mid and high pitch is compared with: auto, speaker, sex, corpus.")
    ] = "auto",
    bins_from: Annotated[
        str, typer.Option(help="The split that the limits of levels come from, or all.")
    ] = "train",
    processes: Annotated[int, typer.Option(min=1, help="Processes that decode and measure clips.")] = 1,
) -> VoiceOptions:
    """The options about sound from the command line.

    Raises:
        InputError: a value that cannot be used.
    """
    from ..recipes.listening.voices import VoiceOptions

    return VoiceOptions(
        audio=audio,
        acoustics=acoustics,
        functionals=functionals,
        transcripts=transcripts,
        pitch_by=pitch_by,
        bins_from=bins_from,
        processes=processes,
    )
