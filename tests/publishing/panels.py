"""A small dataset of three annotators: two models with different schemas, and a person."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from remelt.publishing import DatasetContent
from remelt.publishing.panel import PanelContent
from remelt.records import (
    Annotation,
    Drop,
    Message,
    Reply,
    Request,
    Resolution,
    Utterance,
    Verdict,
    Vote,
    digest,
)

from .conftest import SCHEMA

LABEL_SCHEMA: dict[str, Any] = {
    "x-remelt-label": "label",
    "type": "object",
    "properties": {
        "label": {"enum": list(SCHEMA["properties"]["elements"]["properties"]["emotion"]["enum"])}
    },
    "required": ["label"],
}
PROMPT = {"name": "melt", "version": "1", "source": "Jing et al. 2025", "text": "Say {x}"}
OWN = {**PROMPT, "name": "own", "text": "Say | `{x}`"}
MEMBERS: tuple[dict[str, Any], ...] = (
    {
        "name": "big",
        "kind": "model",
        "model": "gpt-test",
        "endpoint": "https://example.org/v1",
        "parameters": {"temperature": 1.0},
        "notices": ["once it dropped the seed"],
        "retires": "2027-01-14",
        "caveat": "",
        "prompt": {**PROMPT, "sha256": digest(PROMPT["text"])},
        "schema": {"name": "melt", "json": SCHEMA},
    },
    {
        "name": "small",
        "kind": "model",
        "model": "smol",
        "endpoint": "local",
        "parameters": {"temperature": 0.0},
        "notices": [],
        "caveat": "It is small.",
        "prompt": {**OWN, "sha256": digest(OWN["text"])},
        "schema": {"name": "label", "json": LABEL_SCHEMA},
    },
    {
        "name": "ann",
        "kind": "human",
        "model": "ann",
        "endpoint": "sha256:" + "c" * 64,
        "parameters": {},
        "notices": [],
        "prompt": None,
        "schema": {"name": "label", "json": LABEL_SCHEMA},
    },
)
NAMES = tuple(member["name"] for member in MEMBERS)


def annotate(utterance: Utterance, member: Mapping[str, Any], label: str | None) -> Annotation:
    """A member's annotation of an utterance; None is an answer that does not parse."""
    person = member["kind"] != "model"
    request = Request(
        utterance=utterance,
        annotator=member["name"],
        model=member["model"],
        endpoint=member["endpoint"],
        messages=() if person else (Message("user", f"{member['name']}: {utterance.words}"),),
        schema=member["schema"]["json"],
        parameters=member["parameters"],
        prompt_hash="" if person else "b" * 64,
    )
    answer: dict[str, Any] = {"label": str(label).title()}
    if member["schema"]["json"] is SCHEMA:
        emotion = {"emotion": str(label).title(), "pitch": f"{member['name']}'s"}
        answer = {"character": "Joey", "context": "at the bar", "elements": emotion}
    reply = Reply(
        request_key=request.key,
        utterance_id=utterance.id,
        attempt=0,
        raw="no idea" if label is None else json.dumps(answer),
        model=member["model"],
        means="import" if person else "json_schema",
        input_tokens=None if person else 100,
        output_tokens=None if person else 20,
        cost=None if person else 0.001,
        created="2026-01-02T03:04:05Z",
    )
    verdict = (
        Verdict("invalid", problems=("the reply holds no JSON",))
        if label is None
        else Verdict("valid", answer, label, flags=("character_mismatch",) if member["name"] == "big" else ())
    )
    return Annotation(request, (reply,), (verdict,))


def majority(name: str, votes: Sequence[Vote]) -> Resolution:
    """More than half of the votes, stated on its own."""
    counts = Counter(vote.label for vote in votes if vote.label is not None)
    if not counts:
        return Resolution(name, None, "majority", votes=tuple(votes), reason="no_votes", detail="nobody")
    shares = {str(label): count / counts.total() for label, count in counts.items()}
    label, share = max(shares.items(), key=lambda item: item[1])
    entropy = -sum(p * math.log2(p) for p in shares.values())
    found = Resolution(name, label, "majority", "majority", share, entropy + 0.0, shares, tuple(votes))
    if share > 0.5:
        return found
    return replace(found, label=None, decided_by="", reason="no_majority", detail="a third each")


# What each member says of the six rows that are asked about; absent is never asked.
SAID: tuple[Mapping[str, str | None], ...] = (
    {"big": "joy", "small": "joy", "ann": "joy"},
    {"big": "fear", "small": "disgust", "ann": "disgust"},
    {"big": "joy", "small": "anger", "ann": "neutral"},
    {"big": "fear", "small": None},
    {"big": None, "small": None},
    {"small": "sadness", "ann": "sadness"},
)


def with_panel(content: DatasetContent, said: Sequence[Mapping[str, str | None]] = SAID) -> DatasetContent:
    """The same utterances with three votes: in train 3 kept, 1 unresolved, 1 quarantined, 1 dropped."""
    rows = list({a.utterance.id: a.utterance for a in content.annotations}.values())
    annotations, resolutions = [], {}
    drops = [drop for drop in content.drops if drop.stage == "selection"]
    for row, answers in zip(rows, said, strict=True):
        votes = []
        for member in MEMBERS:
            if member["name"] in answers:
                label = answers[member["name"]]
                annotations.append(annotate(row, member, label))
                votes.append(Vote(member["name"], label, "human" if member["kind"] == "human" else "model"))
        found = resolutions[row.id] = majority(row.id, votes)
        if found.label is None:
            stage = "annotation" if found.reason == "no_votes" else "resolution"
            reason = "invalid_answer" if stage == "annotation" else found.reason
            drops.append(Drop(row, stage, (reason,), (found.detail,)))  # type: ignore[arg-type]
    record = {
        "rule": "majority",
        "options": {"threshold": 0.5, "quorum": 1},
        "info": {},
        "notes": ["A note."],
    }
    return replace(
        content,
        annotations=tuple(annotations),
        drops=tuple(drops),
        prompt=MEMBERS[0]["prompt"],
        panel=PanelContent(MEMBERS, resolutions, record),
    )
