"""The dataset card: front matter from the features, body from a template of `cards/`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from jinja2 import Environment, FunctionLoader, StrictUndefined

from .. import resources
from ..errors import RemeltError
from .evaluation import evaluation_context
from .frontmatter import card_problems, front_matter
from .layout import AUDIT, CARD, CONFIGS, shards
from .markdown import Markdown, code, fence, inline, link, number, percent, table
from .panelcard import authors, caveats, panel_context
from .parquet import write_bytes
from .sharing import sharing_of
from .soft import SOFT
from .summary import SplitSummary, Summary, summarise
from .voicecard import extra_columns, voice_context


class CardError(RemeltError):
    """The card that was made would be refused by the Hub or the datasets library."""


def write_card(out: Path, manifest: Mapping[str, Any], findings: Mapping[str, Any] | None = None) -> Path:
    """Writes the dataset card of a folder.

    Args:
        out: the dataset folder, with its Parquet files.
        manifest: its manifest.
        findings: what the audit found; the card then points to the audit's files.

    Returns:
        The card's path. Call `seal` afterwards: its hash is part of the manifest.

    Raises:
        InputError: a Parquet file is missing or unreadable.
        CardError: the front matter does not pass the offline check (see `card_problems`).
        WriteError: the card cannot be written.
    """
    summary = summarise(out, manifest)
    title = _title(manifest)
    data = front_matter(out, manifest, title)
    context = _context(out, manifest, summary, title) | audit_context(manifest, findings or {})
    body = render(context, template_of(manifest))
    text = f"---\n{data.to_yaml()}\n---\n\n{body}"
    problems = card_problems(text)
    if problems:
        raise CardError(f"The card of {out} is not valid: {'; '.join(problems)}")
    write_bytes(text.encode("utf-8"), out / CARD)
    return out / CARD


def template_of(manifest: Mapping[str, Any]) -> str:
    """The name of a folder's card among the templates: its recipe, or what it is without its replies."""
    if manifest.get("labels_only"):
        return "labels_only"
    return "joined" if manifest.get("joined") else str(manifest["recipe"])


def render(context: Mapping[str, Any], recipe: str) -> str:
    """The card's body from the template `cards/RECIPE.md.j2`, which extends `cards/base.md.j2`."""
    return _environment().get_template(f"{recipe}.md.j2").render(context)


def _template(name: str) -> tuple[str, None, Callable[[], bool]]:
    """A template's text, and whether what was compiled of it is still what is there."""
    text = resources.read("cards", name)
    return text, None, lambda: resources.read("cards", name) == text


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_template),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        inline=inline,
        code=code,
        fence=fence,
        link=link,
        number=number,
        percent=percent,
        json=indented_json,
        markdown=Markdown,
    )
    environment.globals["table"] = table
    return environment


def _title(manifest: Mapping[str, Any]) -> str:
    corpus = manifest["corpus"]
    title = f"{corpus.get('title') or corpus['name']}, relabelled by {authors(manifest)}"
    return " ".join(title.encode("utf-8", "replace").decode("utf-8").split())


def _context(out: Path, manifest: Mapping[str, Any], summary: Summary, title: str) -> dict[str, Any]:
    corpus = manifest["corpus"]
    annotator = manifest["annotator"]
    counts, splits = manifest["counts"], list(manifest["splits"])
    kept, quarantined, unresolved = (
        sum(row.get(key, 0) for row in counts.values()) for key in ("kept", "quarantined", "unresolved")
    )
    characters, mismatches = (
        sum(getattr(s, key) for s in summary.splits) for key in ("characters", "mismatches")
    )
    return {
        "title": title,
        "manifest": manifest,
        "answers": [code(name) for name in manifest.get("left_out", {}).get("answers", ())],
        "meld": corpus["name"] == "meld",
        "matched": _matched(manifest),
        "sharing": sharing_of(corpus.get("licence") or "", corpus["name"]),
        "summary": summary,
        "splits": splits,
        "empty": _empty(out, manifest),
        "corpus": {
            "title": corpus.get("title") or corpus["name"],
            "homepage": corpus.get("homepage") or "",
            "licence": corpus.get("licence") or "",
            "citation": corpus.get("citation") or "",
            "files": [[code(name), code(hashed)] for name, hashed in corpus.get("files", {}).items()],
        },
        "counts": [
            [
                code(s),
                *(row[k] for k in ("input", "kept", "dropped", "quarantined", "unresolved") if k in row),
            ]
            for s, row in counts.items()
        ],
        "attrition": _attrition(manifest),
        "reasons": [
            [stage, reason, *(by_split.get(s, 0) for s in manifest["splits"])]
            for (stage, reason), by_split in summary.reasons.items()
        ],
        "annotator": {
            "model": annotator["model"],
            "notices": annotator.get("notices") or [],
        },
        "authors": authors(manifest),
        "caveats": caveats(manifest),
        "panel": panel_context(out, manifest),
        "evaluation": evaluation_context(out, manifest),
        "example": next((split.split for split in summary.splits if split.rows), splits[0]),
        "annotator_rows": _annotator_rows(manifest),
        "prompt": manifest["prompt"],
        "quarantined": quarantined,
        "asked": (asked := kept + quarantined + unresolved),
        "quarantined_share": quarantined / asked if asked else None,
        "characters": characters,
        "mismatches": mismatches,
        "mismatch_share": mismatches / characters if characters else None,
        "matrices": [_matrix(split, summary.labels) for split in summary.splits if split.rows],
        "columns": _columns(out, manifest),
        "soft": _has_column(out, manifest, SOFT),
        "voice": voice_context(out, manifest),
        "extras": extra_columns(out, manifest),
        "flags": [[flag, count] for flag, count in summary.flags.items()],
        "defects": _defects(manifest),
        "versions": [f"{name} {version}" for name, version in manifest["versions"].items()],
        "method": resources.read("cards", f"{manifest['recipe']}.bib"),
    }


def _matched(manifest: Mapping[str, Any]) -> list[list[Any]]:
    """What a join found; nothing where there was none."""
    told = {
        "joined": "labels with their utterance",
        "checked": "of them compared by their words",
        "different": "with other words than those that were labelled",
        "relabelled": "with another original label",
        "missing": "labels whose id the copy does not have",
        "unlabelled": "utterances of the copy without a label",
    }
    joined = manifest.get("joined") or {}
    return [[words, int(joined.get(key, 0))] for key, words in told.items()] if joined else []


def audit_context(manifest: Mapping[str, Any], findings: Mapping[str, Any]) -> dict[str, Any]:
    """What the card takes over from the audit; all of it may be missing."""
    scopes = {**findings.get("splits", {})}
    if len(scopes) > 1:
        scopes["all"] = findings["overall"]
    figure = "change_matrix_all.png"
    told = (manifest["annotator"], *manifest.get("annotators", ()))
    known = {*manifest["notes"], *(notice for part in told for notice in part.get("notices") or ())}
    return {
        "has_audit": bool(findings),
        "agreement": [_agreement(name, scope) for name, scope in scopes.items() if scope["compared"]],
        "figure": f"{AUDIT}/{figure}" if figure in findings.get("files", ()) else "",
        "notes": [*manifest["notes"], *(c for c in findings.get("caveats", ()) if c not in known)],
    }


def _agreement(name: str, scope: Mapping[str, Any]) -> list[Any]:
    change, entropy = scope["change"], scope["entropy"]
    return [
        name,
        scope["compared"],
        percent(change["rate"]),
        f"{percent(change['low'])} to {percent(change['high'])}",
        *("–" if value is None else f"{value:.3f}" for value in (scope["kappa"], *entropy.values())),
    ]


def _defects(manifest: Mapping[str, Any]) -> list[list[Any]]:
    rows = []
    for name, by_split in manifest["corpus"].get("defects", {}).items():
        counts = [by_split.get(split, 0) for split in manifest["splits"]]
        if any(counts):
            rows.append([name, *counts])
    return rows


def _empty(out: Path, manifest: Mapping[str, Any]) -> list[str]:
    return [
        f"{config}/{split}"
        for config in CONFIGS
        for split in manifest["splits"]
        if not sum(pq.read_metadata(path).num_rows for path in shards(out, manifest["files"], config, split))
    ]


def _attrition(manifest: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    rows: dict[str, list[list[Any]]] = {}
    for row in manifest["attrition"]:
        rows.setdefault(row["split"], []).append([row["rule"], row["in_order"], row["alone"], row["left"]])
    return rows


def _annotator_rows(manifest: Mapping[str, Any]) -> list[list[str]]:
    annotator, replies = manifest["annotator"], manifest["replies"]
    means = ", ".join(
        f"{name or 'no answer'} ({number(count)})" for name, count in annotator["means"].items()
    )
    statuses = ", ".join(f"{number(replies[s])} {s}" for s in ("valid", "invalid", "refused", "error"))
    tokens = f"{number(replies['input_tokens'])} in, {number(replies['output_tokens'])} out"
    cost = "no price known" if replies["cost"] is None else f"US$ {replies['cost']:.4f}"
    return [
        ["annotator", annotator["name"]],
        ["model", annotator["model"]],
        ["endpoint", annotator["endpoint"]],
        *([str(name), str(value)] for name, value in annotator.get("parameters", {}).items()),
        ["retirement date of the model", annotator.get("retires") or "none known"],
        *_answered(annotator),
        ["structure asked for by", means],
        ["replies", f"{number(replies['total'])}: {statuses}"],
        ["tokens", tokens if replies["input_tokens"] is not None else "not counted"],
        ["cost", cost],
    ]


def _answered(annotator: Mapping[str, Any]) -> list[list[str]]:
    """Which models answered, as the server named them, and when; nothing of a dataset that does not tell."""
    rows = []
    if models := annotator.get("answered_by"):
        rows.append(["model that answered", ", ".join(f"{n} ({number(c)})" for n, c in models.items())])
    when = annotator.get("answered") or {}
    if when.get("first"):
        days = dict.fromkeys((when["first"][:10], when["last"][:10]))
        rows.append(["date of annotation", " to ".join(days)])
    return rows


def _matrix(split: SplitSummary, labels: tuple[str, ...]) -> dict[str, Any]:
    lines: list[list[Any]] = [
        [Markdown("*none*") if name is None else name, *cells, split.before[name]]
        for name, cells in split.matrix.items()
    ]
    return {
        "name": split.split,
        "rows": split.rows,
        "compared": split.compared,
        "changed": split.changed,
        "change_rate": split.change_rate,
        "head": ["", *labels, "all"],
        "lines": [*lines, [Markdown("**all**"), *(split.after[name] for name in labels), split.rows]],
    }


def _has_column(out: Path, manifest: Mapping[str, Any], name: str) -> bool:
    return name in pq.read_schema(shards(out, manifest["files"], "default", manifest["splits"][0])[0]).names


def _columns(out: Path, manifest: Mapping[str, Any]) -> list[list[str]]:
    from datasets import Audio, ClassLabel, Features, List

    schema = pq.read_schema(shards(out, manifest["files"], "default", manifest["splits"][0])[0])
    rows: list[list[str]] = []
    for name, feature in Features.from_arrow_schema(schema).items():
        if isinstance(feature, ClassLabel):
            kind = f"ClassLabel: {', '.join(feature.names)}"
        elif isinstance(feature, Audio):
            kind = f"Audio ({feature.sampling_rate} Hz)"
        else:
            kind = _list_of(feature.feature) if isinstance(feature, List) else str(feature.dtype)
        rows.append([code(name), kind])
    return rows


def _list_of(feature: Any) -> str:
    return f"list of {', '.join(feature)}" if isinstance(feature, Mapping) else f"list of {feature.dtype}"


def indented_json(value: object, margin: str = "") -> str:
    """JSON with indented objects, but lists of plain values on one line: a profile lists many names."""
    inner = margin + "  "
    if isinstance(value, Mapping) and value:
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {indented_json(part, inner)}"
            for key, part in value.items()
        ]
    elif isinstance(value, list) and any(isinstance(part, (list, Mapping)) for part in value):
        parts = [indented_json(part, inner) for part in value]
    else:
        return json.dumps(value, ensure_ascii=False)
    first, last = "{}" if isinstance(value, Mapping) else "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(parts) + f"\n{margin}{last}"
