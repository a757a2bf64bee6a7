"""The manifest: what a dataset folder was made from, with which options, and the hash of every file."""

from __future__ import annotations

import json
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .. import __version__
from ..errors import InputError, bad_value
from ..records import digest
from .content import DatasetContent
from .fields import LABEL_KEY
from .layout import AUDIT, CARD, FOLDERS, MANIFEST
from .panel import KINDS, OF_REPLIES, member_records
from .parquet import sha256, write_bytes
from .tally import Tally

FORMAT = 1
KEYS = (
    "format", "remelt_version", "recipe", "corpus", "splits", "profile", "label_set", "prompt", "schema",
    "annotator", "options", "counts", "attrition", "replies", "notes", "files", "versions", "created",
)  # fmt: skip
_KINDS = {
    **dict.fromkeys(("remelt_version", "recipe", "created"), str),
    **dict.fromkeys(("splits", "attrition", "notes"), list),
    **dict.fromkeys(("options", "versions"), dict),
}
_NESTED = {
    "corpus": ("name",),
    "profile": ("name", "options"),
    "label_set": ("name", "labels", "prompt_order", "label_field"),
    "schema": ("name", "sha256", "json"),
    "annotator": ("name", "model", "endpoint", "means"),
    "replies": ("total", "valid", "invalid", "refused", "error", "input_tokens", "output_tokens", "cost"),
}
_MEMBER = ("name", "kind", "model", "endpoint", "parameters", "prompt", "schema", "means", "replies")
_ENTRIES = {"counts": ("input", "kept", "dropped", "quarantined"), "files": ("sha256", "bytes", "rows")}
_PACKAGES = ("datasets", "huggingface-hub", "openai", "pyarrow", "xllamacpp")
_SOUND_PACKAGES = ("av", "soundfile", "soxr")
_SURROGATE = re.compile("[\ud800-\udfff]")


def build_manifest(content: DatasetContent, tally: Tally | None = None) -> dict[str, Any]:
    """The manifest of a build, still without its files.

    Args:
        content: what is published.
        tally: what is counted of its rows, where they are published part by part and not in `content`.

    Raises:
        InputError: the counts do not add up to the corpus (see `count_rows`).
    """
    tally = tally or Tally.of(content)
    return {
        "format": FORMAT,
        "remelt_version": __version__,
        "recipe": content.recipe,
        "corpus": plain(content.corpus),
        "splits": list(content.splits),
        "profile": plain(content.profile),
        "label_set": {
            "name": content.label_set.name,
            "labels": list(content.label_set.labels),
            "prompt_order": list(content.label_set.prompt_order),
            "label_field": content.schema.get(LABEL_KEY),
        },
        "prompt": plain(content.prompt),
        "schema": {
            "name": content.schema_name,
            "sha256": digest(content.schema),
            "json": plain(content.schema),
        },
        **_annotators(content, tally),
        "options": plain(content.options),
        "counts": count_rows(content, tally),
        "attrition": [plain(row) for row in content.attrition],
        "replies": tally.replies.record(),
        **({} if content.run is None else {"run": plain(content.run)}),
        **({} if content.voice is None else {"voice": plain(content.voice.record)}),
        **({"resplit": True} if content.resplit else {}),
        "notes": list(content.notes),
        "files": {},
        "versions": {
            "python": platform.python_version(),
            **_versions(_PACKAGES if content.voice is None else (*_PACKAGES, *_SOUND_PACKAGES)),
        },
        "created": content.created or datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def count_rows(content: DatasetContent, tally: Tally) -> dict[str, dict[str, int]]:
    """Rows per split by where they went; those that are unresolved only where there are votes.

    Raises:
        InputError: kept, dropped, quarantined and unresolved rows do not add up to the split's input.
    """
    counts = {split: {"input": content.inputs.get(split, 0), **tally.rows[split]} for split in content.splits}
    for split, row in counts.items():
        parts = {name: count for name, count in row.items() if name != "input"}
        if sum(parts.values()) != row["input"]:
            raise InputError(
                f"The rows of the split {split!r} do not add up: {row['input']} came in, but "
                f"{', '.join(f'{count} {name}' for name, count in parts.items())} "
                f"({sum(parts.values())} in all)"
            )
    return counts


def _annotators(content: DatasetContent, tally: Tally) -> dict[str, Any]:
    """What the manifest says of who answered."""
    if content.panel is None:
        replies = tally.replies
        counted = {"means": replies.means_record(), **replies.answered_record()}
        return {"annotator": {**plain(content.annotator), **counted}}
    each = {
        name: {"means": mine.means_record(), **mine.answered_record(), "replies": mine.record()}
        for name, mine in tally.members.items()
    }
    members = plain(member_records(content.panel, each))
    return {
        "annotator": {**plain(content.panel.annotator), **{name: members[0][name] for name in OF_REPLIES}},
        "annotators": members,
        "resolution": {**plain(content.panel.resolution), "ratings": tally.raters},
    }


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest of a dataset folder.

    Raises:
        InputError: there is none, it is no JSON, lacks keys, or has a format that this version does not know.
    """
    path = Path(out) / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{out} is no remelt dataset: it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    _check_keys(path, "", manifest, ())
    if manifest.get("format") != FORMAT:
        raise InputError(f"{path}: {bad_value('manifest format', manifest.get('format'), [FORMAT])}")
    _check_keys(path, "", manifest, KEYS)
    for name, kind in _KINDS.items():
        if not isinstance(manifest[name], kind):
            wanted = {dict: "an object", list: "a list", str: "a text"}[kind]
            raise InputError(f"{path}: {name!r} is {manifest[name]!r}, expected {wanted}")
    for name, keys in _NESTED.items():
        _check_keys(path, name, manifest[name], keys)
    if manifest.get("resplit", True) is not True:
        raise InputError(f"{path}: {bad_value('resplit', manifest['resplit'], [True])}")
    if "voice" in manifest:
        _check_voice(path, manifest["voice"])
    for name, keys in _ENTRIES.items():
        _check_keys(path, name, manifest[name], ())
        for entry, value in manifest[name].items():
            _check_keys(path, f"{name}.{entry}", value, keys)
    if "annotators" in manifest or "resolution" in manifest:
        _check_panel(path, manifest)
    return manifest


def _check_panel(path: Path, manifest: Mapping[str, Any]) -> None:
    _check_keys(path, "", manifest, ("annotators", "resolution"))
    _check_keys(path, "resolution", manifest["resolution"], ("rule", "options"))
    members = manifest["annotators"]
    if not isinstance(members, list) or not members:
        raise InputError(f"{path}: 'annotators' is {members!r}, expected a list of annotators")
    for number, member in enumerate(members):
        _check_keys(path, f"annotators[{number}]", member, _MEMBER)
        for name, keys in (("schema", _NESTED["schema"]), ("replies", _NESTED["replies"])):
            _check_keys(path, f"annotators[{number}].{name}", member[name], keys)
        if member["kind"] not in KINDS:
            raise InputError(f"{path}: {bad_value('kind of annotator', member['kind'], KINDS)}")
    names = Counter(member["name"] for member in members)
    if len(names) < len(members):
        raise InputError(f"{path}: 'annotators' names {[n for n, c in names.items() if c > 1]!r} twice")
    for split, counts in manifest["counts"].items():
        _check_keys(path, f"counts.{split}", counts, ("unresolved",))


def _check_voice(path: Path, voice: object) -> None:
    _check_keys(path, "voice", voice, ("audio", "rate", "measures", "levels", "columns"))
    assert isinstance(voice, dict)
    for name in ("measures", "levels", "columns"):
        if not isinstance(voice[name], list) or not all(isinstance(part, str) for part in voice[name]):
            raise InputError(f"{path}: 'voice.{name}' is {voice[name]!r}, expected a list of names")
    if not isinstance(voice["rate"], int) or voice["rate"] < 1:
        raise InputError(f"{path}: 'voice.rate' is {voice['rate']!r}, expected a whole number of Hz")


def _check_keys(path: Path, name: str, value: object, keys: Sequence[str]) -> None:
    where = f"{path}: {name!r}" if name else str(path)
    if not isinstance(value, dict):
        raise InputError(f"{where} holds {type(value).__name__}, expected a JSON object")
    missing = [key for key in keys if key not in value]
    if missing:
        raise InputError(f"{where} lacks the keys {missing!r}")


def write_manifest(out: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest whole or not at all.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    text = json.dumps(plain(manifest), indent=2, ensure_ascii=False)
    # Unpaired surrogates have no UTF-8, but JSON has an escape for them.
    text = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    write_bytes(text.encode("utf-8") + b"\n", out / MANIFEST)


def file_entry(path: Path) -> dict[str, Any]:
    """What the manifest says of one file: sha256, bytes, and rows where it is Parquet."""
    rows = pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None
    return {"sha256": sha256(path), "bytes": path.stat().st_size, "rows": rows}


def published_files(out: Path) -> list[str]:
    """The files of a folder that belong in its manifest: the card, the Parquet files and the audit's."""
    folders = (*FOLDERS.values(), AUDIT)
    found = [p.relative_to(out) for name in folders for p in (out / name).rglob("*") if p.is_file()]
    names = [p.as_posix() for p in found if not any(part.startswith(".") for part in p.parts)]
    return sorted([*names, *([CARD] if (out / CARD).is_file() else [])])


def plain(value: Any) -> Any:
    """Records, tuples and paths as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    return str(value) if isinstance(value, Path) else value


def total(values: Sequence[float | None]) -> float | None:
    """The sum of the known values, to the micro; None where none is known."""
    known = [value for value in values if value is not None]
    return round(sum(known), 6) if known else None


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
