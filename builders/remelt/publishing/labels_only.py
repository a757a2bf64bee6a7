"""The labels of a dataset without the words and the sound of its corpus.

What a corpus has is left out and comes back when the labels are joined to a copy of it; what was added to
the corpus stays, except for whatever could quote its words. Only columns that are named here stay, so a new
column is left out until somebody decides otherwise.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..records import digest
from .fields import AnswerField, answer_shape
from .panel import PANEL_COLUMNS
from .reading import read_split, split_schema
from .sharing import sharing_of
from .soft import SOFT
from .surrogates import escape, unescape
from .voice import FLAGS, SECONDS, TRANSCRIPT, columns_of_record

CHECK = "check"
DIGITS = 16
WORDS = ("id", "text", "text_repaired")
_BEFORE = ("id", "label", "original_label", "changed")
_AFTER = ("character_match", "flags", "annotator", SOFT, *PANEL_COLUMNS)
_KEPT = {
    "annotations": (
        "id", "annotator", "model", "status", "attempt", "label", "flags", "means", "finish_reason",
        "prompt_hash", "schema_hash", "request_hash", "input_tokens", "cached_tokens", "output_tokens",
        "reasoning_tokens", "label_logprobs", "cost", "seconds", "created", "tries",
    ),
    "dropped": ("id", "split", "stage", "reasons", "original_label"),
}  # fmt: skip
# Options of a build that name speakers, who may be people.
_SPEAKERS = ("speakers", "keep_speakers", "drop_speakers", "merge_speakers")
_WORD = re.compile(r"\w+")


def plain_words(text: str) -> str:
    """The words of a text as copies of a corpus agree on them: no case, no punctuation, single spaces.

    >>> plain_words("That’s  what I SAID!") == plain_words("That's what I said.")
    True
    """
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text.casefold())))


def text_check(salt: str, identity: str, text: str) -> str:
    """Sixteen hexadecimal digits by which a row's words can be recognised and not read.

    The salt is public, so whoever guesses the words of a row can find that the guess is right; the id goes
    into it, so that rows with equal words do not look equal.

    Args:
        salt: the dataset's (`manifest["check"]["salt"]`).
        identity: the row's id.
        text: its words, repaired where the encoding was broken; only `plain_words` of it count.

    >>> text_check("00", "toy/train/dia0_utt1", "Hi!") == text_check("00", "toy/train/dia0_utt1", "hi")
    True
    """
    told = "\n".join((salt, identity, plain_words(text)))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def check_salt(manifest: Mapping[str, Any]) -> str:
    """The salt of a dataset: the same for the same rows."""
    data = {name: entry["sha256"] for name, entry in manifest["files"].items() if name.endswith(".parquet")}
    return digest(data)[:DIGITS]


def kept_columns(out: Path, manifest: Mapping[str, Any], config: str) -> list[str]:
    """The columns of a config that hold nothing of the corpus's words or sound, in their order.

    Raises:
        InputError: files are missing or unreadable.
    """
    names = split_schema(out, manifest, config, manifest["splits"][0]).names
    if config != "default":
        return [name for name in names if name in _KEPT[config]]
    kept = {*_BEFORE, *_closed_fields(names, manifest), *_AFTER, *_voice_names(manifest)}
    return [name for name in names if name in kept]


def labels_table(out: Path, manifest: Mapping[str, Any], config: str, split: str, salt: str) -> pa.Table:
    """One split of one config without the corpus, with the column `check` where there is a salt.

    Raises:
        InputError: files are missing or unreadable.
    """
    from datasets import Features, Value

    kept = kept_columns(out, manifest, config)
    if config == "annotations" and not salt:
        # The hash of a request is one of its words too.
        kept.remove("request_hash")
    checked = config == "default" and bool(salt)
    table = read_split(out, manifest, config, split, {*kept, *(WORDS if checked else ())})
    found = Features.from_arrow_schema(table.schema)
    features = {name: found[name] for name in kept}
    arrays = {name: table.column(name) for name in kept}
    if checked:
        features = {"id": features.pop("id"), CHECK: Value("string"), **features}
        arrays[CHECK] = pa.chunked_array([pa.array(_checks(table, salt), pa.string())])
    schema = Features(features).arrow_schema
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def left_out(out: Path, manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """The columns of the default config that stay away: `corpus` come back with the corpus, `answers` do not.

    Raises:
        InputError: files are missing or unreadable.
    """
    names = split_schema(out, manifest, "default", manifest["splits"][0]).names
    gone = [name for name in names if name not in kept_columns(out, manifest, "default")]
    said = _answer_names(names, answer_shape(manifest["schema"]["json"]).fields)
    answers = [name for name in gone if name in said or name in TRANSCRIPT]
    return {"corpus": [name for name in gone if name not in answers], "answers": answers}


def labels_manifest(
    manifest: Mapping[str, Any], missing: Mapping[str, Sequence[str]], salt: str
) -> dict[str, Any]:
    """The manifest of a dataset without its corpus, still without files.

    Sentences about the corpus and the limits of single speakers go too, for they may quote it; so do the
    names in the options of the selection, unless the corpus's words may be passed on.

    Args:
        manifest: the whole dataset's.
        missing: see `left_out`.
        salt: see `check_salt`; empty for no checks.
    """
    made = {**manifest, "labels_only": True, "left_out": dict(missing), "notes": [], "files": {}}
    corpus = manifest["corpus"]
    if not sharing_of(str(corpus.get("licence") or ""), str(corpus["name"])).text:
        profile = manifest["profile"]
        made["profile"] = {**profile, "options": _nameless(profile["options"])}
        made["options"] = _nameless(manifest["options"])
    if salt:
        made["check"] = {"salt": salt, "digits": DIGITS, "of": ["salt", "id", "words"]}
    if "voice" in manifest:
        made["voice"] = _voice_record(manifest["voice"])
    return made


def _nameless(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if not (value and name in _SPEAKERS)}


def _voice_record(record: Mapping[str, Any]) -> dict[str, Any]:
    bins = record.get("bins")
    schemes = bins.items() if isinstance(bins, Mapping) else ()
    return {
        **{k: v for k, v in record.items() if k not in ("transcripts", "notes", "bins")},
        **({"bins": {k: _plain_scheme(v) for k, v in schemes}} if schemes else {}),
        "audio": "none",
        "columns": [SECONDS, FLAGS, *record["measures"], *record["levels"]],
    }


def _plain_scheme(scheme: object) -> object:
    if not isinstance(scheme, Mapping):
        return scheme
    return {key: value for key, value in scheme.items() if key in ("measure", "quantiles", "split", "counts")}


def _checks(table: pa.Table, salt: str) -> list[str]:
    columns = (table.column(name).to_pylist() for name in WORDS)
    return [
        text_check(salt, unescape(identity), unescape(text if repaired is None else repaired))
        for identity, text, repaired in zip(*columns, strict=True)
    ]


def words_left(columns: Sequence[str], manifest: Mapping[str, Any], config: str) -> list[str]:
    """The columns of a labels-only folder that have no place in one.

    Args:
        columns: those that were found.
        manifest: the folder's manifest.
        config: default, annotations or dropped.
    """
    if config != "default":
        return [name for name in columns if name not in _KEPT[config]]
    known = (*_BEFORE, CHECK, *_AFTER, *_voice_names(manifest), *_answer_names(columns, _closed(manifest)))
    return [name for name in columns if name not in known]


def _closed_fields(names: Sequence[str], manifest: Mapping[str, Any]) -> list[str]:
    """The answer's fields that can only have values from a list, or are numbers: those quote nothing."""
    every = answer_shape(manifest["schema"]["json"]).fields
    closed = _closed(manifest)
    columns = _answer_names(names, every)
    return [column for column, field in zip(columns, every, strict=False) if field in closed]


def _answer_names(names: Sequence[str], fields: Sequence[AnswerField]) -> list[str]:
    """The columns of these fields, which stand between two that every dataset has; none where they do not.

    A column is called by its field's last name, or by a longer one that ends in it.
    """
    if "changed" not in names or "character_match" not in names:
        return []
    found = list(names)[names.index("changed") + 1 : names.index("character_match")]
    same = len(found) == len(fields)
    return found if same and all(n.endswith(f.path[-1]) for n, f in zip(found, fields, strict=True)) else []


def _closed(manifest: Mapping[str, Any]) -> list[AnswerField]:
    schemas = [manifest["schema"]["json"], *(m["schema"]["json"] for m in manifest.get("annotators", ()))]
    return [
        field
        for field in answer_shape(schemas[0]).fields
        if all(_is_closed(_leaf(schema, field.path)) for schema in schemas)
    ]


def _leaf(schema: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any] | None:
    """What a schema says of a field; None where it has no such field."""
    found: Any = schema
    for name in path:
        found = found.get("properties", {}).get(name)
        if not isinstance(found, Mapping):
            return None
    return dict(found)


def _is_closed(leaf: Mapping[str, Any] | None) -> bool:
    if leaf is None or "enum" in leaf or "const" in leaf:
        return True
    kinds = leaf.get("type")
    listed = {kinds} if isinstance(kinds, str) else set(kinds or ("any",))
    return listed <= {"boolean", "integer", "number", "null"}


def _voice_names(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    heard = columns_of_record(manifest.get("voice"))
    return (SECONDS, FLAGS, *heard.measures, *heard.levels) if heard else ()


def label_rows(
    rows: Sequence[tuple[str, str | None, str | None, Sequence[str]]],
    annotator: str,
    split: str,
    labels: Sequence[str],
    original_labels: Sequence[str],
) -> dict[str, pa.Table]:
    """The three tables of a labels-only folder for labels that came in a file.

    Args:
        rows: id, new label (None for one that is off the list), the corpus's own label, and flags.
        annotator: who gave the labels.
        split: the split of all rows.
        labels, original_labels: the names of the two ClassLabel columns.

    Returns:
        The tables by config: labelled rows, one reply for each row, and the rows that got no label.
    """
    from datasets import ClassLabel, Features, List, Value

    text, texts = Value("string"), List(Value("string"))
    old = {name: index for index, name in enumerate(original_labels)}
    kept = [row for row in rows if row[1] is not None]
    off = [row for row in rows if row[1] is None]
    data: dict[str, tuple[Any, list[Any]]] = {
        "id": (text, [row[0] for row in kept]),
        "label": (ClassLabel(names=list(labels)), [list(labels).index(str(row[1])) for row in kept]),
        "original_label": (
            ClassLabel(names=list(original_labels)),
            [None if row[2] is None else old[row[2]] for row in kept],
        ),
        "changed": (Value("bool"), [None if row[2] is None else row[1] != row[2] for row in kept]),
        "character_match": (Value("bool"), [None] * len(kept)),
        "flags": (texts, [list(row[3]) for row in kept]),
        "annotator": (text, [annotator] * len(kept)),
    }
    replies: dict[str, tuple[Any, list[Any]]] = {
        "id": (text, [row[0] for row in rows]),
        "annotator": (text, [annotator] * len(rows)),
        "model": (text, [annotator] * len(rows)),
        "status": (text, ["invalid" if row[1] is None else "valid" for row in rows]),
        "attempt": (Value("int32"), [0] * len(rows)),
        "label": (text, [row[1] for row in rows]),
        "means": (text, ["import"] * len(rows)),
    }
    dropped: dict[str, tuple[Any, list[Any]]] = {
        "id": (text, [row[0] for row in off]),
        "split": (text, [split] * len(off)),
        "stage": (text, ["annotation"] * len(off)),
        "reasons": (texts, [["label_off_list"] for _ in off]),
        "original_label": (text, [row[2] for row in off]),
    }
    found = {}
    for config, columns in (("default", data), ("annotations", replies), ("dropped", dropped)):
        schema = Features({name: feature for name, (feature, _) in columns.items()}).arrow_schema
        arrays = [pa.array(_stored(values), schema.field(name).type) for name, (_, values) in columns.items()]
        found[config] = pa.Table.from_arrays(arrays, schema=schema)
    return found


def _stored(values: Sequence[Any]) -> list[Any]:
    return [escape(value) if isinstance(value, str) else value for value in values]
