"""What the card says of several annotators: who they are, how they fared, how their votes were counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from .markdown import Markdown, code, number, percent
from .panel import DECIDED, VOTES
from .reading import read_split

_MOST_NAMED = 3
_MOST_DECISIONS = 12
_HEAD = ("annotator", "kind", "model", "asked at", "prompt", "temperature", "valid", "not valid")


def authors(manifest: Mapping[str, Any]) -> str:
    """Who labelled, in a few words."""
    names = [member["name"] for member in manifest.get("annotators", ())]
    if not names:
        return str(manifest["annotator"]["model"])
    if len(names) > _MOST_NAMED:
        return f"{len(names)} annotators"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def caveats(manifest: Mapping[str, Any]) -> list[str]:
    """What has to be known of the annotators before all else."""
    members = manifest.get("annotators")
    if not members:
        return [str(caveat)] if (caveat := manifest["annotator"].get("caveat")) else []
    told = {member["name"]: member.get("caveat") for member in members}
    return [f"{name}: {caveat}" for name, caveat in told.items() if caveat]


def panel_context(out: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the template's section on the annotators is filled with; None for a single one.

    Raises:
        InputError: a Parquet file is missing or unreadable.
    """
    members = manifest.get("annotators")
    if not members:
        return None
    splits = manifest["splits"]
    wanted = {"annotations": ("id", "annotator", "status"), "default": ("label", VOTES, DECIDED)}
    replies, data = (
        pa.concat_tables([read_split(out, manifest, config, split, columns) for split in splits])
        for config, columns in wanted.items()
    )
    last = {(row["id"], row["annotator"]): row["status"] for row in replies.to_pylist()}
    status = Counter((name, found == "valid") for (_, name), found in last.items())
    resolution = manifest["resolution"]
    return {
        "head": list(_HEAD),
        "members": [_member(member, status) for member in members],
        "agreement": _agreement(data, manifest),
        "rule": str(resolution["rule"]),
        "options": resolution["options"],
        "ratings": bool(resolution.get("ratings")),
        "decided": _decided(data[DECIDED].to_pylist()),
        "unresolved": sum(counts["unresolved"] for counts in manifest["counts"].values()),
        "notes": [str(note) for note in resolution.get("notes") or ()],
        "notices": [
            f"{member['name']}: {notice}" for member in members for notice in member.get("notices") or ()
        ],
        "prompts": _shared(members, "prompt"),
        "schemas": _shared(members, "schema"),
        "costs": _costs(manifest),
    }


def _member(member: Mapping[str, Any], status: Mapping[tuple[str, bool], int]) -> list[Any]:
    prompt, name = member["prompt"], member["name"]
    temperature = member["parameters"].get("temperature")
    return [
        code(name),
        member["kind"],
        member["model"],
        _endpoint(str(member["endpoint"])),
        f"{prompt['name']}, version {prompt['version']}" if prompt else "–",
        "–" if temperature is None else str(temperature),
        status.get((name, True), 0),
        status.get((name, False), 0),
    ]


def _endpoint(endpoint: str) -> Markdown | str:
    """A server's name, or what kind of place it is."""
    if endpoint.startswith("sha256:"):
        return "a file"
    if "://" in endpoint:
        return code(urlsplit(endpoint).hostname or "a server")
    # What is replayed is named by its hash alone.
    return "a file" if len(endpoint) == 64 and not endpoint.strip("0123456789abcdef") else endpoint


def _agreement(data: pa.Table, manifest: Mapping[str, Any]) -> list[list[Any]]:
    """For each source its votes on rows with a label, and how many of them are for that label."""
    labels = manifest["label_set"]["labels"]
    names = [member["name"] for member in manifest["annotators"]]
    votes: Counter[str] = Counter()
    same: Counter[str] = Counter()
    for label, cast in zip(data["label"].to_pylist(), data[VOTES].to_pylist(), strict=True):
        for vote in cast:
            if vote["label"] is not None:
                who = vote["source"] if vote["source"] in names else ""
                votes[who] += 1
                same[who] += vote["label"] == labels[label]
    return [
        [
            code(name) if name else "the corpus's raters",
            votes[name],
            percent(same[name] / votes[name] if votes[name] else None),
        ]
        for name in (*names, *([""] if votes[""] else []))
    ]


def _decided(found: Sequence[str]) -> list[list[Any]]:
    """How labels came about and how often; raters are not named one by one where they are many."""
    counts = Counter(found)
    if len(counts) > _MOST_DECISIONS:
        counts = Counter(name.partition(":")[0] for name in found)
    return [
        [code(name), count] for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _shared(members: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """Each prompt or schema once, with those who used it."""
    found: dict[str, dict[str, Any]] = {}
    for member in members:
        if member[key] is not None:
            record = found.setdefault(member[key]["sha256"], {"record": member[key], "by": []})
            record["by"].append(code(member["name"]))
    return [{**part, "by": Markdown(", ".join(part["by"]))} for part in found.values()]


def _costs(manifest: Mapping[str, Any]) -> list[list[Any]]:
    rows = []
    for member in manifest["annotators"]:
        replies = member["replies"]
        asked = member["kind"] == "model"
        unknown = ("none known", "no price known") if asked else ("–", "–")
        cost = unknown[1] if replies["cost"] is None else f"US$ {replies['cost']:.4f}"
        statuses = ", ".join(f"{number(replies[s])} {s}" for s in ("valid", "invalid", "refused", "error"))
        rows.append(
            [
                code(member["name"]),
                member.get("retires") or unknown[0],
                f"{number(replies['total'])}: {statuses}",
                number(replies["input_tokens"]),
                number(replies["output_tokens"]),
                cost,
            ]
        )
    return rows
