"""One self-contained HTML page for an audit: no network, no fonts or scripts from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from .build_info import BuildInfo, together
from .clips import find_clips
from .console_panel import NAMES as AGREEMENT_NAMES
from .dataset import Table
from .descriptions import RESAMPLES, Value
from .findings import Findings
from .lexicon import LEVELS, RULES
from .matrix import Rate
from .names import number
from .options import AuditOptions
from .report_data import (
    audio_order,
    carried_rows,
    contradicted_rows,
    embed,
    report_data,
)
from .streamed import Streamed

HERE = Path(__file__).parent
MAX_GROUPS = 60
COUNTS = ("input", "kept", "dropped", "quarantined")
GROUP_TITLES = {
    "speaker": "Change by speaker",
    "season": "Change by season",
    "duration": "Change by duration",
    "words": "Change by number of words",
}
VERDICTS = {
    "same": "as published",
    "recomputed": "as recomputed",
    "differs": "differs",
    "missing": "not here",
}


def report_html(
    findings: Findings,
    dataset: Table | Streamed,
    build: BuildInfo | None,
    out: Path,
    options: AuditOptions,
) -> bytes:
    """The page as UTF-8.

    Args:
        findings: the numbers.
        dataset: the rows behind them.
        build: what the dataset folder says of its making, if it is one of remelt's.
        out: the audited folder or file, where `.remelt/local.json` tells of the clips.
        options: `report_rows` and `audio_bytes` limit what the page carries.
    """
    contradicted = contradicted_rows(findings)
    table, rows = carried_rows(dataset, options.report_rows, contradicted)
    carried = set(rows)
    order = audio_order(table, rows, [row for row in contradicted if row in carried])
    clips = find_clips(order, out, findings.folder, options.audio_bytes)
    data = report_data(findings, table, build, rows, clips)
    script = _asset("report.js")
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            findings=findings,
            dataset=findings.dataset,
            scopes=_scopes(findings),
            speakers=data["speakers"],
            annotators="" if build is None else together(build.annotators),
            missing=findings.overall.rows - findings.overall.matrix.total,
            carried=len(rows),
            complete=data["complete"],
            notices=clips.notices,
            made=_made(build),
            prompt_text="" if build is None else build.get("prompt", "text") or "",
            dropped=_reasons(findings),
            dropped_shown=0 if build is None else len(build.shown),
            dropped_total=0 if build is None else build.dropped,
            data=embed(data),
            css=Markup(_asset("report.css")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
            group_titles=GROUP_TITLES,
            max_groups=MAX_GROUPS,
            verdicts=VERDICTS,
            level_names=LEVELS,
            rules=RULES,
            resamples=RESAMPLES,
            count_names=COUNTS if findings.panel is None else (*COUNTS, "unresolved"),
            agreement_names=AGREEMENT_NAMES,
            panel_rows=lambda scope: [] if findings.panel is None else findings.panel.scored(scope),
        )
    )
    return page.encode("utf-8", "replace")


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        percent=_percent,
        share=_share,
        scored=_scored,
        interval=_interval,
        count=_count,
        fixed=number,
        json_text=_json_text,
    )
    return environment


def _scopes(findings: Findings) -> list[dict[str, Any]]:
    """The scopes as the split filter names them: empty for all, else the split's number."""
    numbered = [(str(i), scope) for i, scope in enumerate(findings.splits.values())]
    return [{"key": key, "scope": scope} for key, scope in [("", findings.overall), *numbered]]


def _made(build: BuildInfo | None) -> list[tuple[str, str]]:
    """The lines of "How the labels were made"; empty values are left out."""
    if build is None:
        return []
    replies = build.replies
    cost = replies.get("cost")
    tokens = (replies.get("input_tokens") or 0, replies.get("output_tokens") or 0)
    several = len(build.annotators) > 1
    of = f" of {build.annotators[0]}" if several else ""
    lines = [
        ("Recipe", build.get("recipe")),
        ("Corpus", " · ".join(str(v) for k in ("name", "licence") if (v := build.get("corpus", k)))),
        ("Selection profile", build.get("profile", "name")),
        ("Annotators" if several else "Annotator", ", ".join(build.annotators)),
        (f"Model{of}", build.get("annotator", "model")),
        (f"Endpoint{of}", build.get("annotator", "endpoint")),
        (f"Parameters{of}", _json_text(build.get("annotator", "parameters"))),
        (f"Model{of} retires", build.get("annotator", "retires")),
        ("Prompt", " ".join(str(v) for k in ("name", "version") if (v := build.get("prompt", k)))),
        ("Prompt sha256", build.get("prompt", "sha256")),
        ("Schema", " ".join(str(v) for k in ("name", "sha256") if (v := build.get("schema", k)))),
        ("Acoustics", _named(build.get("voice", "acoustics"), "backend", "version")),
        ("Transcripts", build.get("voice", "transcripts", "source")),
        ("Replies", _replies(replies)),
        ("Tokens", f"{tokens[0]:,} in, {tokens[1]:,} out" if any(tokens) else None),
        ("Cost", None if cost is None else f"${cost:,.4f}"),
        ("remelt", build.get("remelt_version")),
    ]
    return [(name, str(value)) for name, value in lines if value not in (None, "")]


def _named(entry: object, *keys: str) -> str:
    """Some of an entry's values in one line; empty where there is none."""
    return " ".join(str(entry[k]) for k in keys if entry.get(k)) if isinstance(entry, Mapping) else ""


def _replies(replies: Mapping[str, Any]) -> str | None:
    if not replies.get("total"):
        return None
    parts = [f"{replies[s]:,} {s}" for s in ("valid", "invalid", "refused", "error") if replies.get(s)]
    repairs = f"; {replies['repair_turns']:,} were repair turns" if replies.get("repair_turns") else ""
    return f"{replies['total']:,} ({', '.join(parts)}{repairs})"


def _reasons(findings: Findings) -> list[tuple[str, str, str, int]]:
    """Rows of the drop table: split, stage, reason, count."""
    found = (findings.build or {}).get("dropped", {})
    return [
        (split, stage, reason, count)
        for split, stages in found.items()
        for stage, entry in stages.items()
        for reason, count in sorted(entry["reasons"].items(), key=lambda item: -item[1])
    ]


def _percent(rate: Rate, decimals: int = 1) -> str:
    return _share(rate.rate, decimals)


def _scored(value: Value) -> Markup:
    """A score with its interval below it."""
    if value.value is None:
        return Markup("–")
    if value.low is None or value.high is None:
        return Markup(number(value.value, 3))
    between = f"{number(value.low, 3)} to {number(value.high, 3)}"
    return Markup(f'{number(value.value, 3)}<br><span class="between">{between}</span>')


def _share(value: float | None, decimals: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{decimals}f} %"


def _interval(rate: Rate) -> str:
    return (
        "–" if rate.low is None or rate.high is None else f"{100 * rate.low:.1f} to {100 * rate.high:.1f} %"
    )


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _json_text(value: object) -> str:
    return "" if not value else json.dumps(value, ensure_ascii=False, sort_keys=True)
