"""The rows that a report carries, packed as JSON that is safe inside an HTML script element."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from .build_info import BuildInfo
from .clips import Clips, Wanted
from .dataset import Table
from .findings import Findings
from .lexicon import LEVELS
from .streamed import Streamed
from .voice_columns import VoiceRows

MAX_TEXT = 2_000
MAX_RAW = 1_000
AnyCodes: TypeAlias = npt.NDArray[np.signedinteger[Any]]
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNSAFE = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def embed(value: object) -> Markup:
    """JSON that no text of the data can break out of: `<`, `>`, `&` and line separators are escaped.

    >>> str(embed(["</script><!--"]))
    '["\\\\u003c/script\\\\u003e\\\\u003c!--"]'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(_SURROGATES.sub("\ufffd", text).translate(_UNSAFE))


def pack(values: Sequence[Any]) -> dict[str, Any]:
    """A column as it is, or as a dictionary with codes where values repeat.

    >>> pack(["a", "b", "a", "a"])
    {'d': ['a', 'b'], 'c': [0, 1, 0, 0]}
    """
    index: dict[Any, int] = {}
    codes = [index.setdefault(v, len(index)) for v in values]
    if len(index) * 2 > len(values):
        return {"v": list(values)}
    return {"d": list(index), "c": codes}


def carried_rows(
    dataset: Table | Streamed, limit: int, contradicted: Sequence[int] = ()
) -> tuple[Table, list[int]]:
    """A table with the rows that a report carries, and where in it they stand (see `choose_rows`)."""
    if isinstance(dataset, Table):
        return dataset, choose_rows(dataset, limit, contradicted)
    every = range(len(dataset))
    places = list(every) if len(every) <= limit else spread_rows(*dataset.codes(), limit)
    return dataset.rows(places), list(range(len(places)))


def choose_rows(table: Table, limit: int, contradicted: Sequence[int] = ()) -> list[int]:
    """The rows to carry: all of them, or evenly spread ones of every cell, at most `limit` in all.

    Every cell of the matrix gets the same allowance, so that rare changes stay complete. Rows whose words
    contradict their sound come first, up to a tenth of the limit.
    """
    if len(table) <= limit:
        return list(range(len(table)))
    if contradicted:
        first = contradicted[: limit // 10]
        return sorted({*first, *choose_rows(table, limit - len(first))})
    return spread_rows(table.before, table.after, limit)


def spread_rows(before: AnyCodes, after: AnyCodes, limit: int) -> list[int]:
    """Evenly spread rows of every cell of the matrix, at most `limit` in all, ascending.

    Args:
        before, after: of every row the codes of its labels, -1 for none.
        limit: how many rows at most.
    """
    pairs = before.astype(np.int32) * (int(after.max(initial=0)) + 2) + after
    cells = [np.flatnonzero(pairs == pair) for pair in np.unique(pairs)]
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(middle, len(rows)) for rows in cells) <= limit:
            low = middle
        else:
            high = middle - 1
    allowed = [(rows, min(low, len(rows))) for rows in cells]
    return sorted(int(rows[k * len(rows) // most]) for rows, most in allowed for k in range(most))


def report_data(
    findings: Findings, table: Table, build: BuildInfo | None, rows: Sequence[int], clips: Clips
) -> dict[str, Any]:
    """Everything the page's script works on."""
    place = {row: i for i, row in enumerate(rows)}
    splits = {name: i for i, name in enumerate(table.splits)}
    return {
        "labels": list(table.labels),
        "splits": list(table.splits),
        "speakers": speaker_names(table, rows),
        "counts": {
            "all": findings.overall.matrix.counts.tolist(),
            "splits": [scope.matrix.counts.tolist() for scope in findings.splits.values()],
        },
        "complete": len(rows) == findings.overall.rows,
        "total": findings.overall.rows,
        "rows": {
            "id": [table.ids[i] for i in rows],
            "split": [splits[table.split[i]] for i in rows],
            "before": table.before[list(rows)].tolist(),
            "after": table.after[list(rows)].tolist(),
            "speaker": pack([table.speakers[i] for i in rows]),
            "text": pack([_short(table.texts[i]) for i in rows]),
            "seconds": [None if (d := table.durations[i]) is None else round(d, 2) for i in rows],
            "flags": pack([", ".join(table.flags[i]) for i in rows]),
        },
        "fields": [
            {"name": name, **pack([_short(values[i]) for i in rows])} for name, values in table.fields.items()
        ],
        **({} if table.voice is None else {"sound": sound_data(findings, table.voice, rows)}),
        "audio": {str(place[row]): uri for row, uri in clips.embedded.items()},
        "links": {str(place[row]): address for row, address in clips.linked.items()},
        "dropped": None if build is None else dropped_data(build),
    }


def sound_data(findings: Findings, voice: VoiceRows, rows: Sequence[int]) -> dict[str, Any]:
    """What was measured of each row, and what its words were read as (0, 1, 2, or -1 for not)."""
    descriptions = findings.sound and findings.sound.descriptions
    dimensions = descriptions.dimensions if descriptions else ()
    return {
        "levels": [
            {"name": name, **pack([column[i] for i in rows])} for name, column in voice.levels.items()
        ],
        "measures": [
            {"name": name, "v": [None if (v := column[i]) is None else float(f"{v:.4g}") for i in rows]}
            for name, column in voice.measures.items()
        ],
        "flags": pack([", ".join(voice.flags[i]) for i in rows]),
        "dimensions": [
            {
                "name": d.name,
                "measured": d.measured,
                "said": [-1 if (r := d.readings[i]).level is None else LEVELS.index(r.level) for i in rows],
                "heard": [d.measured_codes[i] for i in rows],
                "rule": pack([d.readings[i].rule for i in rows]),
            }
            for d in dimensions
        ],
    }


def contradicted_rows(findings: Findings) -> list[int]:
    """Rows whose words and sound are at opposite ends in any dimension, in order."""
    descriptions = findings.sound and findings.sound.descriptions
    dimensions = descriptions.dimensions if descriptions else ()
    return sorted({found.row for dimension in dimensions for found in dimension.disagreements})


def dropped_data(build: BuildInfo) -> dict[str, Any]:
    """Dropped and quarantined rows, the quarantined ones first and with their replies."""
    ordered = build.shown
    return {
        "total": build.dropped,
        "id": [row.id for row in ordered],
        "split": pack([row.split for row in ordered]),
        "stage": pack([row.stage for row in ordered]),
        "reasons": pack([", ".join(row.reasons) for row in ordered]),
        "details": pack([" · ".join(row.details) for row in ordered]),
        "speaker": pack([row.speaker for row in ordered]),
        "text": pack([_short(row.text) for row in ordered]),
        "label": pack([row.original_label for row in ordered]),
        "replies": {
            str(i): [
                [reply.attempt, reply.status, _short(reply.raw, MAX_RAW), list(reply.problems)]
                for reply in build.quarantined.get(row.id, ())
            ]
            for i, row in enumerate(ordered)
            if row.id in build.quarantined
        },
    }


def speaker_names(table: Table, rows: Sequence[int]) -> list[str]:
    """The speakers of the carried rows, in the order of the page's filter."""
    return sorted({s for s in (table.speakers[i] for i in rows) if s is not None})


def audio_order(table: Table, rows: Sequence[int], contradicted: Sequence[int] = ()) -> list[Wanted]:
    """Rows in the order in which one wants to hear them.

    Rows whose words contradict their sound and rows whose label changed take turns, then come the others.
    """
    changed = [i for i in rows if table.before[i] != table.after[i]]
    first = [i for pair in zip_longest(contradicted, changed) for i in pair if i is not None]
    places = table.places
    return [
        Wanted(i, table.ids[i], i if places is None else places[i], table.clips[i])
        for i in dict.fromkeys((*first, *rows))
    ]


def _short(text: str | None, limit: int = MAX_TEXT) -> str | None:
    return text if text is None or len(text) <= limit else text[: limit - 1] + "…"
