"""The columns of the three configs as Hugging Face features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..labels import LabelSet
from ..records import Utterance
from .extras import ExtraColumns, check_names, data_extras, extras_of, utterance_extras
from .fields import AnswerShape, answer_shape
from .panel import DECIDED, ENTROPY, PANEL_COLUMNS, SHARE, VOTES
from .soft import SOFT
from .voice import VoiceColumns, voice_features

INT64 = range(-(2**63), 2**63)
BEFORE_FIELDS = (
    "id", "speaker", "text", "text_repaired", "dialogue_id", "utterance_id", "season", "episode",
    "start", "end", "duration", "label", "original_label", "changed",
)  # fmt: skip
AFTER_FIELDS = ("character_match", "flags", "clip", "annotator", SOFT)


@dataclass(frozen=True, slots=True)
class Columns:
    """What decides the columns of one build, the same for all its splits.

    Attributes:
        labels: names of the new label's ClassLabel, in order.
        original_labels: those of the original label's: `labels`, then further corpus labels, sorted.
        integer_dialogue, integer_utterance: whether these ids are int64 columns; else they are strings.
        shape: the answer's leaves.
        soft: whether there is a column of soft labels.
        panel: whether there are the columns of the votes; then there are soft labels too.
        extras: what only some corpora know of an utterance.
        voice: the columns of the voice; None for a dataset of words alone.
    """

    labels: tuple[str, ...]
    original_labels: tuple[str, ...]
    integer_dialogue: bool
    integer_utterance: bool
    shape: AnswerShape
    soft: bool = False
    extras: ExtraColumns = field(default_factory=ExtraColumns)
    voice: VoiceColumns | None = None
    panel: bool = False


def shape_of(
    schema: Mapping[str, Any], extras: ExtraColumns, voice: VoiceColumns | None, panel: bool = False
) -> AnswerShape:
    """The answer's leaves, under names that no other column of the build has.

    Raises:
        InputError: a measure or a dimension is named like another column.
    """
    fixed = (*BEFORE_FIELDS, *AFTER_FIELDS, *(PANEL_COLUMNS if panel else ()))
    check_names(extras.names, fixed, "attribute")
    heard = voice.names if voice else ()
    check_names(heard, (*fixed, *extras.names), "column of the voice")
    return answer_shape(schema, reserved=(*fixed, *extras.names, *heard))


def columns_of(
    utterances: Iterable[Utterance],
    label_set: LabelSet,
    schema: Mapping[str, Any],
    soft: bool = False,
    voice: VoiceColumns | None = None,
    panel: bool = False,
) -> Columns:
    """Decides the columns from all utterances of a build, kept and dropped, and its answer schema.

    Args:
        utterances: all of them.
        label_set: the new labels.
        schema: the answer's schema.
        soft: whether any reply carries log-probabilities of the labels.
        voice: the columns of the voice, where there is one.
        panel: whether several annotators voted.

    Raises:
        InputError: two columns would have the same name.
    """
    utterances = list(utterances)
    corpus_labels: set[str] = set()
    dialogue = utterance = True
    for row in utterances:
        if row.label is not None:
            corpus_labels.add(row.label)
        dialogue = dialogue and _fits(row.dialogue_id)
        utterance = utterance and _fits(row.utterance_id)
    further = sorted(corpus_labels - set(label_set.labels))
    extras = extras_of(utterances)
    return Columns(
        labels=label_set.labels,
        original_labels=(*label_set.labels, *further),
        integer_dialogue=dialogue,
        integer_utterance=utterance,
        shape=shape_of(schema, extras, voice, panel),
        soft=soft or panel,
        extras=extras,
        voice=voice,
        panel=panel,
    )


def _fits(value: int | str) -> bool:
    return isinstance(value, int) and value in INT64


def data_features(columns: Columns) -> Any:
    """The `datasets.Features` of the default config."""
    from datasets import ClassLabel, Features, List, Value

    text, number = Value("string"), Value("float64")
    fixed = {
        **dict.fromkeys(("id", "speaker", "text", "text_repaired", "clip", "annotator"), text),
        **_places(columns),
        **dict.fromkeys(("start", "end", "duration"), number),
        "label": ClassLabel(names=list(columns.labels)),
        "original_label": ClassLabel(names=list(columns.original_labels)),
        **dict.fromkeys(("changed", "character_match"), Value("bool")),
        "flags": List(text),
        SOFT: List(number),
        VOTES: List(dict.fromkeys(("source", "kind", "label"), text)),
        **dict.fromkeys((SHARE, ENTROPY), number),
        DECIDED: text,
    }
    after = [name for name in AFTER_FIELDS if name != SOFT or columns.soft]
    after += PANEL_COLUMNS if columns.panel else ()
    fields = {leaf.column: text for leaf in columns.shape.fields}
    return Features(
        {name: fixed[name] for name in BEFORE_FIELDS}
        | fields
        | {name: fixed[name] for name in after}
        | data_extras(columns.extras)
        | (voice_features(columns.voice) if columns.voice else {})
    )


def annotations_features(columns: Columns) -> Any:
    """The `datasets.Features` of the annotations config."""
    from datasets import Features, List, Value

    text, texts = Value("string"), List(Value("string"))
    return Features(
        {
            **_texts("id", "annotator", "model", "status", "answer", "raw"),
            "attempt": Value("int32"),
            "label": text,
            **dict.fromkeys(("problems", "notes", "flags"), texts),
            **_texts("means", "finish_reason", "detail", "prompt_hash", "schema_hash", "request_hash"),
            **_texts("parameters", "prefill", "messages", "endpoint"),
            **dict.fromkeys(
                ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"), Value("int64")
            ),
            "label_logprobs": text,
            **dict.fromkeys(("cost", "seconds"), Value("float64")),
            "created": text,
            "tries": Value("int32"),
            **_utterance_features(columns),
        }
    )


def dropped_features(columns: Columns) -> Any:
    """The `datasets.Features` of the dropped config."""
    from datasets import Features, List, Value

    texts = List(Value("string"))
    return Features(
        {
            **_texts("id", "split", "stage"),
            "reasons": texts,
            "details": texts,
            **_utterance_features(columns),
        }
    )


def features(config: str, columns: Columns) -> Any:
    """The `datasets.Features` of a config by its name."""
    makers = {"default": data_features, "annotations": annotations_features, "dropped": dropped_features}
    return makers[config](columns)


def _texts(*names: str) -> dict[str, Any]:
    from datasets import Value

    return dict.fromkeys(names, Value("string"))


def _places(columns: Columns) -> dict[str, Any]:
    from datasets import Value

    return {
        "dialogue_id": Value("int64" if columns.integer_dialogue else "string"),
        "utterance_id": Value("int64" if columns.integer_utterance else "string"),
        "season": Value("int32"),
        "episode": Value("int32"),
    }


def _utterance_features(columns: Columns) -> dict[str, Any]:
    from datasets import List, Value

    return {
        **_texts("speaker", "text", "text_repaired"),
        **_places(columns),
        **dict.fromkeys(("start", "end"), Value("float64")),
        **_texts("original_label", "sentiment", "clip"),
        "clip_duration": Value("float64"),
        "utterance_flags": List(Value("string")),
        "source": Value("string"),
        **utterance_extras(columns.extras),
    }
