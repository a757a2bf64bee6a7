"""Scored labels: against log-probabilities worked out label by label, without mask, batch or cache."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from remelt.annotators import AnnotatorOptions, create
from remelt.annotators.hf import runtime
from remelt.cli import app
from remelt.errors import AnnotatorError
from remelt.records import Message, Request

from ..builders import request
from . import tiny_hf

_MISSING = [n for n in ("torch", "transformers", "llguidance") if importlib.util.find_spec(n) is None]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")

# Some are one token of the tiny tokenizer, the others are several; one label begins another.
LABELS = ["Joy", "Anger", "Sad", "Sadness", "Überrascht", "in two words"]
SCHEMA = {
    "x-remelt-label": "label",
    "type": "object",
    "properties": {"label": {"type": "string", "enum": LABELS}},
    "required": ["label"],
    "additionalProperties": False,
}
SYSTEM = Message("system", "You annotate the emotion of one line of a conversation. " * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hf.save(tmp_path_factory.mktemp("models") / "tiny")


def ask(number: int, words: str = "", prefill: str = '{"label": "', **changes: Any) -> Request:
    base = request(number, schema=SCHEMA, parameters={}, prefill=prefill, **changes)
    said = f'"Ann said: {words or base.utterance.words}"'
    return request(
        number, schema=SCHEMA, parameters={}, prefill=prefill, messages=(SYSTEM, Message("user", said))
    )


async def scored(folder: Path, asked: Sequence[Request], **options: Any) -> tuple[list[Any], Any]:
    options = {"answer_format": "scoring", "device": "cpu", **options}
    model = create(f"hf/{folder}", AnnotatorOptions(**options))
    await model.start()
    try:
        return list(await asyncio.gather(*(model.answer(r, r.messages, 0) for r in asked))), model
    finally:
        await model.close()


class ByHand:
    """P(answer | prompt) with one pass for each label, summed over all tokens of the answer's text."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.words = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()

    def probabilities(self, messages: Sequence[Message]) -> dict[str, float]:
        import torch

        chat = [{"role": m.role, "content": m.content} for m in messages]
        prompt = self.words.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        before = len(self.words(prompt)["input_ids"])
        mass = {}
        for label in LABELS:
            tokens = self.words(prompt + json.dumps({"label": label}, ensure_ascii=False))["input_ids"]
            with torch.no_grad():
                shares = self.model(torch.tensor([tokens])).logits[0].double().softmax(-1)
            mass[label] = math.prod(float(shares[n - 1, tokens[n]]) for n in range(before, len(tokens)))
        return {label: share / sum(mass.values()) for label, share in mass.items()}


def shares(reply: Any) -> dict[str, float]:
    return {label: math.exp(p) for label, p in json.loads(reply.label_logprobs).items()}


def close(found: dict[str, float], expected: dict[str, float]) -> bool:
    return found == pytest.approx({k.casefold(): v for k, v in expected.items()}, rel=1e-3, abs=1e-6)


async def test_scores_are_the_models_own(folder: Path) -> None:
    asked = [ask(n, "short." if n % 3 else "Quite a long line, " * n) for n in range(7)]
    replies, model = await scored(folder, asked, answer_format="scoring-plain", slots=5)
    assert model._scorer.packed
    hand = ByHand(folder)
    for one, reply in zip(asked, replies, strict=True):
        expected = hand.probabilities(one.messages)
        assert close(shares(reply), expected)
        assert json.loads(reply.raw) == {"label": max(expected, key=expected.__getitem__)}
        assert (reply.means, reply.finish_reason, reply.output_tokens, reply.cost) == (
            "scoring",
            "stop",
            0,
            0.0,
        )
        assert reply.input_tokens
    assert len({reply.raw for reply in replies}) > 1


async def test_models_that_do_not_take_labels_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that passes over the mask gives other numbers in the probe, and is asked label by label."""
    forward = runtime.Runtime.forward

    def maskless(self: Any, tokens: Any, mask: Any, *rest: Any, **more: Any) -> Any:
        return forward(self, tokens, None if mask.dim() == 4 else mask, *rest, **more)

    asked = [ask(n) for n in range(2)]
    monkeypatch.setattr(runtime.Runtime, "forward", maskless)
    replies, model = await scored(folder, asked, answer_format="scoring-plain")
    assert not model._scorer.packed
    assert any("does not read several labels together" in notice for notice in model.notices)
    hand = ByHand(folder)
    assert all(close(shares(r), hand.probabilities(a.messages)) for a, r in zip(asked, replies, strict=True))


async def test_calibration_divides_by_what_the_model_says_without_an_utterance(folder: Path) -> None:
    asked = [ask(n) for n in range(3)]
    replies, model = await scored(folder, asked)
    hand = ByHand(folder)
    empty = [
        hand.probabilities((SYSTEM, Message("user", f'"Ann said: {words}"')))
        for words in ("N/A", "[MASK]", "")
    ]
    prior = {label: sum(e[label] for e in empty) / 3 for label in LABELS}
    for one, reply in zip(asked, replies, strict=True):
        plain = hand.probabilities(one.messages)
        ratio = {label: plain[label] / prior[label] for label in LABELS}
        expected = {label: r / sum(ratio.values()) for label, r in ratio.items()}
        assert close(shares(reply), expected)
        assert json.loads(reply.raw)["label"] == max(expected, key=expected.__getitem__)
        assert not close(shares(reply), plain)
    # The prompts without their words are the same, so the prior is worked out once.
    assert (model.endpoint, model.unsampled) == ("hf/scoring", True)


async def test_a_prior_is_worked_out_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from remelt.annotators.hf.scoring import Scorer

    count = []
    packed = Scorer._packed

    def watch(self: Any, choices: Any) -> Any:
        count.append(len(choices))
        return packed(self, choices)

    monkeypatch.setattr(Scorer, "_packed", watch)
    await scored(folder, [ask(n) for n in range(6)])
    probes, priors = 2, 3
    assert sum(count) == probes + priors + 6


async def test_without_prefill_the_whole_answer_is_scored(folder: Path) -> None:
    with_it, without = ask(0), ask(0, prefill="")
    replies, _ = await scored(folder, [with_it, without])
    assert shares(replies[0]) == pytest.approx(shares(replies[1]), abs=1e-4)


async def test_what_cannot_be_scored_says_what_to_do(folder: Path) -> None:
    longer = {**SCHEMA, "properties": {"why": {"type": "string"}, **SCHEMA["properties"]}}  # type: ignore[dict-item]
    hidden = (Message("user", "THIS IS LINE 0."),)
    for asked, message in (
        (request(0, schema=longer), r"fields \['why', 'label'\].*--prompt melt-label"),
        (ask(0, prefill='{"emotion": "'), r"Bad prefill '{\"emotion\": \"' for scoring labels, expected"),
        (request(0, schema=SCHEMA, messages=hidden), "does not hold the words of toy/train/dia0_utt0"),
    ):
        with pytest.raises(AnnotatorError, match=message):
            await scored(folder, [asked])


def test_a_build_and_its_resumption(folder: Path, tmp_path: Path, no_figures: None) -> None:
    def build(out: Path, *more: str) -> dict[str, Any]:
        command = ["build", "melt", "--corpus", "sample", "--annotator", f"hf/{folder}", "--limit", "8"]
        command += ["--out", str(out), "--plain", "--device", "cpu", "--audio", "none", *more]
        command += ["--acoustics", "none", "--splits", "train"]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        return dict(json.loads((out / "manifest.json").read_text()))

    written = build(tmp_path / "written", "--prompt", "melt-label")
    assert written["replies"]["valid"] == 8
    assert written["annotator"]["name"] == "hf/tiny"
    assert str(folder.parent) not in json.dumps(written)
    manifest = build(tmp_path / "scored", "--answer-format", "scoring")
    assert manifest["prompt"]["name"] == "melt-label"
    assert manifest["annotator"]["parameters"] == {}
    assert manifest["replies"]["valid"] == 8
    rows = annotations(tmp_path / "scored")
    assert {row["means"] for row in rows} == {"scoring"}
    assert all(sum(shares_of(row)) == pytest.approx(1, abs=1e-3) for row in rows)
    build(tmp_path / "scored", "--answer-format", "scoring", "--seed", "3")
    assert annotations(tmp_path / "scored") == rows


def annotations(out: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found = [pq.read_table(path).to_pylist() for path in sorted((out / "annotations").glob("*.parquet"))]
    return [row for rows in found for row in rows]


def shares_of(row: dict[str, Any]) -> list[float]:
    return [math.exp(p) for p in json.loads(row["label_logprobs"]).values()]
