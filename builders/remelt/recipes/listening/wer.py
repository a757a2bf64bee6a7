"""Word error rate of what a recogniser heard: reads transcripts or a dataset, scores, writes tables."""

from __future__ import annotations

import csv
import errno
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, Interrupted, bad_value

if TYPE_CHECKING:
    from ...audit.files import Columns
    from ...voice.wer import Pair, Rate, Scored, WerOptions, WerResult

REFERENCES = ("reference", "text")
HYPOTHESES = ("transcript", "hypothesis")
SECONDS = ("seconds", "audio_seconds", "clip_duration", "duration")
FOLDER = "wer"
_SOURCE = "Feng & Narayanan 2023, table 5"


@dataclass(frozen=True, slots=True)
class Published:
    """A published rate in percent, by the same two readings."""

    model: str
    original: float
    processed: float


# corpus -> Feng & Narayanan (2023), Foundation model assisted automatic speech emotion recognition, table 5.
PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    "meld": (Published("Whisper Large V2", 46.23, 37.87), Published("MMS-1B", 71.28, 55.78)),
    "iemocap": (Published("Whisper Large V2", 24.84, 12.21), Published("MMS-1B", 51.46, 26.76)),
}


@dataclass(frozen=True)
class WerReport:
    """A scored source.

    Attributes:
        source: the folder or file.
        kind: transcripts, dataset or table.
        reference, hypothesis: the columns compared.
        corpus: the corpus's name where all ids begin with one; else empty.
        model: the recogniser, where the source says; else empty.
        result: the rates.
        published: what others found on the same corpus.
        files: written files.
    """

    source: Path
    kind: str
    reference: str
    hypothesis: str
    corpus: str
    model: str
    result: WerResult
    published: tuple[Published, ...] = ()
    files: tuple[Path, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """All rates as JSON; shares, not percent, but for the published values."""
        result = self.result
        return {
            "format": 1,
            "kind": self.kind,
            "columns": {"reference": self.reference, "hypothesis": self.hypothesis},
            "corpus": self.corpus,
            "model": self.model,
            "options": asdict(result.options),
            "counts": dict(result.counts),
            "total": {name: asdict(rate) for name, rate in result.total.items()},
            "with_failed": dict(result.with_failed),
            "groups": {
                by: {value: {n: asdict(r) for n, r in rates.items()} for value, rates in groups.items()}
                for by, groups in result.groups.items()
            },
            "worst": [_utterance(row, result.readings) for row in result.worst],
            "failed": [pair.key for pair in result.failed],
            "published": {
                "source": _SOURCE,
                "percent": [asdict(value) for value in self.published],
            }
            if self.published
            else None,
        }


def word_error_rate(
    source: Path,
    options: WerOptions,
    *,
    reference: str | None = None,
    hypothesis: str | None = None,
    to: Path | None = None,
) -> WerReport:
    """Scores the transcripts of a folder, a dataset or a table, and writes `wer.json` and CSV files.

    Args:
        source: a folder made by `remelt transcribe`, a dataset folder, or a CSV, TSV, JSONL or Parquet file.
        options: see `voice.wer.WerOptions`.
        reference: the column of what was said; by default `reference`, else `text`.
        hypothesis: the column of what was heard; by default `transcript`, else `hypothesis`.
        to: the folder to write to. By default `wer` in a folder of transcripts; a dataset or a table is
            left as it is.

    Raises:
        InputError: nothing to read, an unknown column, or one that holds no text.
        Interrupted: the disk is full or refuses.
    """
    from ...audit.files import read
    from ...voice.wer import score

    source = Path(source)
    kind = _kind(source)
    columns = read(source / "transcripts" if kind == "transcripts" else source)
    said = _column(columns, reference, REFERENCES, "reference", source)
    heard = _column(columns, hypothesis, HYPOTHESES, "hypothesis", source)
    pairs = _pairs(columns, said, heard, source)
    pairs.sort(key=lambda pair: columns.splits.index(pair.split))
    if not pairs:
        raise InputError(f"{source} has no rows to score")
    corpus = _corpus(pairs)
    report = WerReport(
        source=source,
        kind=kind,
        reference=said,
        hypothesis=heard,
        corpus=corpus,
        model=_model(source) if kind == "transcripts" else "",
        result=score(pairs, options),
        published=PUBLISHED.get(corpus, ()),
    )
    folder = source / FOLDER if to is None and kind == "transcripts" else to
    return report if folder is None else _write(report, folder)


def _kind(source: Path) -> str:
    if not source.exists():
        raise InputError(f"There is no file or folder {source}")
    if not source.is_dir():
        return "table"
    # A dataset's folder is sealed, so nothing is written into it even where transcripts lie beside its data.
    made = (source / "transcripts").is_dir() and not (source / "manifest.json").exists()
    return "transcripts" if made else "dataset"


def _column(columns: Columns, asked: str | None, usual: Sequence[str], what: str, source: Path) -> str:
    choices = list(columns.values)
    if asked is not None:
        if asked not in columns.values:
            raise InputError(f"{source}: " + bad_value(f"{what} column", asked, choices))
        return asked
    found = next((name for name in usual if name in columns.values), None)
    if found is None:
        raise InputError(f"{source} has none of {list(usual)!r}; name the {what} column, one of {choices!r}")
    return found


def _pairs(columns: Columns, reference: str, hypothesis: str, source: Path) -> list[Pair]:
    from ...voice.wer import Pair

    count = len(columns)
    keys = columns.values.get("id") or [f"row {n}" for n in range(1, count + 1)]
    empty: list[Any] = [None] * count
    said, heard = columns.values[reference], columns.values[hypothesis]
    seconds = next((columns.values[name] for name in SECONDS if name in columns.values), empty)
    named = {name: columns.values.get(name, empty) for name in ("speaker", "label", "status")}
    return [
        Pair(
            key=str(keys[n]),
            reference=_text(said[n], reference, keys[n], source),
            hypothesis=_text(heard[n], hypothesis, keys[n], source),
            split=columns.split[n],
            speaker=_name(named["speaker"][n]),
            label=_name(named["label"][n]),
            seconds=_number(seconds[n]),
            clip=named["status"][n] != "no_clip",
        )
        for n in range(count)
    ]


def _text(value: object, column: str, key: object, source: Path) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InputError(f"{source}: column {column!r} of {key} holds {value!r}, expected text")


def _name(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float | None:
    try:
        return None if value in (None, "") else float(str(value))
    except ValueError:
        return None


def _corpus(pairs: Iterable[Pair]) -> str:
    """The first part of the ids where all share it and ids have parts (`meld/train/dia0_utt3`)."""
    found = {pair.key.partition("/")[0] if "/" in pair.key else "" for pair in pairs}
    return found.pop() if len(found) == 1 else ""


def _model(source: Path) -> str:
    """The recogniser as `transcripts.json` names it."""
    about = source / "transcripts.json"
    if not about.is_file():
        return ""
    try:
        info = json.loads(about.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{about} cannot be read: {error}") from None
    return str(info.get("model") or info.get("source") or "") if isinstance(info, dict) else ""


def _write(report: WerReport, folder: Path) -> WerReport:
    result = report.result
    contents = {
        "wer.json": (json.dumps(report.as_dict(), ensure_ascii=False, indent=2) + "\n").encode("utf-8"),
        "wer.csv": _csv(_rate_rows(result)),
        "wer_utterances.csv": _csv(_utterance_rows(result)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            partial = folder / f".{name}.partial"
            partial.write_bytes(content)
            partial.replace(folder / name)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = Interrupted if full else InputError
        raise kind(f"Cannot write to {folder}: {error.strerror}") from error
    from dataclasses import replace

    return replace(report, files=tuple(folder / name for name in contents))


def _rate_rows(result: WerResult) -> list[dict[str, Any]]:
    rows = [_rate_row("all", "", name, rate) for name, rate in result.total.items()]
    for by, groups in result.groups.items():
        for value, rates in groups.items():
            rows += [_rate_row(by, value, name, rate) for name, rate in rates.items()]
    return rows


def _rate_row(by: str, value: str, reading: str, rate: Rate) -> dict[str, Any]:
    return {"by": by, "value": value, "reading": reading, **asdict(rate)}


def _utterance_rows(result: WerResult) -> list[dict[str, Any]]:
    rows = [_utterance(row, result.readings) for row in result.scored]
    return rows + [{**_who(pair), "state": pair.state} for pair in result.unscored]


def _utterance(row: Scored, readings: Sequence[str]) -> dict[str, Any]:
    counts = {
        f"{name}_{what}": row.counts[name][place]
        for name in readings
        for place, what in enumerate(("substitutions", "deletions", "insertions", "hits"))
    }
    return {**_who(row.pair), "state": row.pair.state, **counts}


def _who(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.key,
        "split": pair.split,
        "speaker": pair.speaker,
        "label": pair.label,
        "seconds": pair.seconds,
        "reference": pair.reference,
        "transcript": pair.hypothesis,
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")
