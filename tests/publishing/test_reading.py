"""Records survive the way into Parquet and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remelt.errors import InputError
from remelt.labels import MELT
from remelt.publishing import publish, read_annotations, read_dropped
from remelt.publishing.columns import columns_of
from remelt.publishing.parquet import read_table, stage_table
from remelt.publishing.reading import annotations_from_table, drops_from_table
from remelt.publishing.surrogates import escape, unescape
from remelt.publishing.tables import annotations_table, dropped_table
from remelt.records import Annotation, Drop, Message, Rating, Reply, Request, Utterance, Verdict

# Everything a Python string can hold: unpaired surrogates, NULs, quotes, and the escape's own marks.
letters = st.characters(exclude_categories=()) | st.sampled_from("\ud83d\udc00\ufffd{}dfu\0\"'\n\r|,")
text = st.text(letters, max_size=12)
optional_text = st.none() | text
seconds = st.none() | st.floats(allow_nan=False, allow_infinity=False)
small = st.none() | st.integers(-(2**31), 2**31 - 1)
count = st.none() | st.integers(-(2**63), 2**63 - 1)
texts = st.lists(text, max_size=3).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False)
ratings = st.lists(
    st.builds(Rating, text, texts, st.dictionaries(text, numbers, max_size=2)), max_size=2
).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
SCHEMA = {"x-remelt-label": "label", "properties": {"label": {}, "why\ud800": {}}}


@st.composite
def utterances(draw: st.DrawFn, number: int, integers: bool) -> Utterance:
    places = st.integers(-(2**63), 2**63 - 1) if integers else text
    return Utterance(
        id=f"co/rpus/train/dia0_utt{number}{draw(text)}",
        corpus="co/rpus",
        split="train",
        dialogue_id=draw(places),
        utterance_id=draw(places),
        speaker=draw(text),
        text=draw(text),
        text_repaired=draw(optional_text),
        label=draw(optional_text),
        sentiment=draw(optional_text),
        season=draw(small),
        episode=draw(small),
        start=draw(seconds),
        end=draw(seconds),
        clip=draw(optional_text),
        clip_duration=draw(seconds),
        flags=draw(texts),
        source=draw(text),
        sex=draw(optional_text),
        session=draw(optional_text),
        clip_start=draw(seconds),
        clip_end=draw(seconds),
        ratings=draw(ratings),
        attributes=draw(st.dictionaries(st.sampled_from(["arousal", "valence", "\ud83d"]), numbers)),
    )


@st.composite
def annotations(draw: st.DrawFn, utterance: Utterance) -> Annotation:
    request = Request(
        utterance=utterance,
        annotator=draw(text),
        model="asked",
        endpoint=draw(text),
        messages=tuple(
            draw(st.lists(st.builds(Message, st.sampled_from(["system", "user"]), text), max_size=3))
        ),
        schema=SCHEMA,
        parameters=draw(st.dictionaries(text, json_values, max_size=3)),
        prefill=draw(text),
        prompt_hash=draw(text),
    )
    replies, verdicts = [], []
    for attempt in range(draw(st.integers(1, 3))):
        status = draw(st.sampled_from(["valid", "invalid", "refused", "error"]))
        replies.append(
            Reply(
                request_key=request.key,
                utterance_id=utterance.id,
                attempt=attempt,
                raw=draw(text),
                model=draw(text),
                means=draw(text),
                failure=status if status in ("refused", "error") else "",
                detail=draw(text),
                finish_reason=draw(text),
                input_tokens=draw(count),
                output_tokens=draw(count),
                cost=draw(seconds),
                seconds=draw(st.floats(0, 100)),
                created=draw(text),
                tries=draw(st.integers(1, 100)),
            )
        )
        answer = draw(st.none() | st.dictionaries(text, json_values, max_size=2))
        verdicts.append(Verdict(status, answer, None, draw(texts), draw(texts), draw(texts)))
    return Annotation(request, tuple(replies), tuple(verdicts))


@st.composite
def builds(draw: st.DrawFn) -> tuple[list[Annotation], list[Drop]]:
    integers = draw(st.booleans())
    size = draw(st.integers(0, 4))
    rows = [draw(utterances(number, integers)) for number in range(size)]
    cut = draw(st.integers(0, size))
    drops = [
        Drop(row, draw(st.sampled_from(["selection", "annotation"])), draw(texts), draw(texts))
        for row in rows[cut:]
    ]
    return [draw(annotations(row)) for row in rows[:cut]], drops


@settings(max_examples=40, deadline=None)
@given(build=builds())
def test_records_come_back_equal(
    build: tuple[list[Annotation], list[Drop]], tmp_path_factory: pytest.TempPathFactory
):
    folder: Path = tmp_path_factory.getbasetemp() / "round-trip"
    answered, drops = build
    rows = [a.utterance for a in answered] + [d.utterance for d in drops]
    columns = columns_of(rows, MELT, SCHEMA)
    tables = []
    for table in (annotations_table(answered, columns), dropped_table(drops, columns)):
        stage_table(table, folder / "rows.parquet").commit()
        tables.append(read_table(folder / "rows.parquet"))
        assert tables[-1].equals(table)
    back = annotations_from_table(tables[0], split="train", schema=SCHEMA, model="asked")
    assert back == [(a.request, a.replies) for a in answered]
    assert drops_from_table(tables[1]) == drops


@given(text)
def test_escaped_text_is_utf8_and_comes_back(value: str):
    escape(value).encode("utf-8")
    assert unescape(escape(value)) == value


@pytest.mark.parametrize("plain", ["", "abc", "naïve “quotes” 😀", "\ufffd", "{d83d}", "a\0b"])
def test_ordinary_text_is_stored_as_it_is(plain: str):
    assert escape(plain) == plain


def test_surrogates_stay_visible():
    assert escape("a\ud83db") == "a\ufffd{d83d}b"
    assert escape("\ufffd{d83d}") == "\ufffd{fffd}{d83d}"


def test_a_published_folder_reads_back(published, content):
    assert list(read_annotations(published)) == [(a.request, a.replies) for a in content.annotations]
    by_stage = sorted(content.drops, key=lambda drop: drop.stage == "annotation")
    assert list(read_dropped(published)) == by_stage


def test_a_rebuild_from_the_published_records_is_byte_identical(published, content, tmp_path):
    verdicts = {a.utterance.id: a.verdicts for a in content.annotations}
    rebuilt = replace(
        content,
        annotations=[
            Annotation(request, replies, verdicts[request.utterance.id])
            for request, replies in read_annotations(published)
        ],
        drops=list(read_dropped(published)),
    )
    publish(tmp_path / "again", rebuilt)
    files = sorted(p.relative_to(published) for p in published.rglob("*.parquet"))
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (published / name).read_bytes(), name


def test_a_changed_message_is_noticed(published, content):
    path = published / "annotations" / "train-00000-of-00001.parquet"
    table = read_table(path)
    messages = table["messages"].to_pylist()
    messages[0] = messages[0].replace("Joey", "Ross")
    place = table.column_names.index("messages")
    changed = table.set_column(place, table.schema.field(place), pa.array(messages))
    with pytest.raises(InputError, match=r"meld/train/dia0_utt0 does not have its hash"):
        annotations_from_table(changed, split="train", schema=content.schema, model="gpt-test")


def test_a_missing_split_is_named(published):
    (published / "dropped" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match=r"dropped/test-00000-of-00001.parquet cannot be read"):
        list(read_dropped(published))
