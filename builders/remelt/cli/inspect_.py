"""`remelt inspect`: what a corpus holds and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import console, put_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..corpora.inspection import Summary
    from ..recipes.inspecting import CorpusInspection, CorpusSound, Quantiles, SoundSummary

# Clips without sound that are named on the terminal.
_LISTED = 12

# Decibels are re full scale.
_SPREADS: tuple[tuple[str, Callable[[SoundSummary], Quantiles | None], int], ...] = (
    ("length (s)", lambda p: p.length, 2),
    ("peak (dB)", lambda p: p.peak_db, 1),
    ("RMS (dB)", lambda p: p.rms_db, 1),
    ("silence before (s)", lambda p: p.leading_silence, 2),
    ("silence after (s)", lambda p: p.trailing_silence, 2),
)


def register(app: typer.Typer) -> None:
    app.command("inspect")(inspect)


def inspect(
    source: Annotated[
        str, typer.Argument(help="Corpus folder or table file; `sample` is the bundled corpus.")
    ],
    json: Annotated[
        Path | None, typer.Option(help="Also write the numbers to this file; - prints them.")
    ] = None,
    splits: Annotated[str | None, typer.Option(help="Only these splits, separated by commas.")] = None,
    name: Annotated[
        str | None, typer.Option(help="A reader (see `remelt corpora`), or a name for a table.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="COLUMN=FIELD, for tables; may be given several times.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for tables (YAML, TOML).")] = None,
    audio: Annotated[
        bool, typer.Option("--audio/--no-audio", help="Decode every clip, where there are clips.")
    ] = True,
    processes: Annotated[int, typer.Option(min=1, help="Processes that decode clips.")] = 1,
    plain: Annotated[bool, typer.Option("--plain", help="No colours, no lines.")] = False,
) -> None:
    """Count utterances, speakers and labels of a corpus, and everything that is wrong with it."""
    from ..corpora import from_options
    from ..recipes.inspecting import inspect_corpus
    from .progress import reporter

    found = inspect_corpus(
        source,
        name=name,
        splits=None if splits is None else [s.strip() for s in splits.split(",") if s.strip()],
        mapping=from_options(column or [], mapping, name),
        audio=audio,
        processes=processes,
        reporter=reporter(plain, quiet=False),
    )
    if not put_json(json, found.to_dict()):
        _show(found, console(plain), plain)


def _show(found: CorpusInspection, console: Console, plain: bool) -> None:
    corpus = found.corpus
    console.print(f"{corpus.name}: {len(corpus):,} utterances in {corpus.folder}")
    console.print(_sizes(found, plain))
    if any(any(counts.values()) for counts in corpus.defects.values()):
        console.print(_defects(found, plain))
    absent = [name for name, counts in corpus.defects.items() if not any(counts.values())]
    if absent:
        console.print(f"Looked for and not found: {', '.join(absent)}.")
    if corpus.findings:
        console.print(_findings(found, plain))
    if found.audio is not None:
        _show_sound(console, found.audio, plain)
    for note in corpus.notes:
        console.print(f"- {note}")


def _table(plain: bool, title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="left" if column in ("", "meaning") else "right", no_wrap=column != "meaning"
        )
    return table


def _sizes(found: CorpusInspection, plain: bool) -> Table:
    table = _table(plain, "Size", "", *found.splits, "all")
    parts = [*found.splits.values(), found.total]

    def row(what: str, *values: str) -> None:
        table.add_row(what, *values)

    row("utterances", *(f"{p.utterances:,}" for p in parts))
    row("dialogues", *(f"{p.dialogues:,}" for p in parts))
    row("speakers", *(f"{p.speakers:,}" for p in parts))
    row("mean duration (s)", *("-" if p.mean_duration is None else f"{p.mean_duration:.2f}" for p in parts))
    row("mean words", *(f"{p.mean_words:.1f}" for p in parts))
    row("clips", *(f"{p.clips:,}" for p in parts))
    for label in found.total.labels:
        row(label if label.isprintable() else repr(label), *(_share(p, label) for p in parts))
    return table


def _share(part: Summary, label: str) -> str:
    count = part.labels.get(label, 0)
    return f"{count:,} ({100 * count / part.utterances:.1f} %)"


def _defects(found: CorpusInspection, plain: bool) -> Table:
    from ..corpora.defects import DEFECTS

    table = _table(plain, "Defects", "", *found.splits, "all", "meaning")
    for name, counts in found.corpus.defects.items():
        if any(counts.values()):
            numbers = [counts[split] for split in found.splits]
            table.add_row(name, *(f"{n:,}" for n in [*numbers, sum(numbers)]), DEFECTS[name].says)
    return table


def _findings(found: CorpusInspection, plain: bool) -> Table:
    table = _table(plain, "In the corpus as a whole", "", "count")
    for name, count in found.corpus.findings.items():
        table.add_row(name, f"{count:,}")
    return table


def _show_sound(console: Console, sound: CorpusSound, plain: bool) -> None:
    from ..voice.quality import FLAGS, SOUNDLESS

    console.print(_sound_sizes(sound, plain))
    present = {flag: counts for flag, counts in sound.flags.items() if any(counts.values())}
    if present:
        table = _table(plain, "Faults of the sound", "", *sound.splits, "all", "meaning")
        for flag, counts in present.items():
            table.add_row(flag, *(f"{n:,}" for n in [*counts.values(), sum(counts.values())]), FLAGS[flag])
        console.print(table)
    console.print(
        f"Looked for in the sound and not found: {', '.join(f for f in FLAGS if f not in present)}."
    )
    lost = [clip for clip in sound.flagged if not SOUNDLESS.isdisjoint(clip.flags)]
    # Of missing clips there may be thousands; they must not hide the others.
    lost.sort(key=lambda clip: "clip_missing" in clip.flags)
    if lost:
        console.print("Without a sound to work with:")
    for clip in lost[:_LISTED]:
        console.print(f"  {clip.id}: {', '.join(clip.flags)}: {clip.detail}")
    if len(lost) > _LISTED:
        console.print(f"  and {len(lost) - _LISTED:,} more (--json lists them all)")
    for note in sound.notes:
        console.print(f"- {note}")


def _sound_sizes(sound: CorpusSound, plain: bool) -> Table:
    table = _table(plain, "Sound (medians; for all, 5 to 95 % beside)", "", *sound.splits, "all")
    parts = [*sound.splits.values(), sound.total]

    def row(what: str, value: Callable[[SoundSummary], str]) -> None:
        table.add_row(what, *map(value, parts))

    row("clips", lambda p: f"{p.clips:,}")
    row("decoded", lambda p: f"{p.decoded:,}")
    row("minutes", lambda p: f"{p.seconds / 60:,.1f}")
    row("rate (Hz)", lambda p: ", ".join(p.rates) or "-")
    row("channels", lambda p: ", ".join(p.channels) or "-")
    for what, values, decimals in _SPREADS:
        spread = values(sound.total)
        table.add_row(
            what, *(_median(values(p), decimals) for p in sound.splits.values()), _range(spread, decimals)
        )
    return table


def _median(values: Quantiles | None, decimals: int) -> str:
    return "-" if values is None else f"{values['median']:.{decimals}f}"


def _range(values: Quantiles | None, decimals: int) -> str:
    if values is None:
        return "-"
    low, high = (f"{values[name]:.{decimals}f}" for name in ("p5", "p95"))
    return f"{_median(values, decimals)} ({low} to {high})"
