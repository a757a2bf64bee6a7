"""What a transformers model in this process writes: by the template, the schema, the seed and its own row."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from remelt.annotators import AnnotatorOptions, create
from remelt.annotators.hf import runtime
from remelt.annotators.hf.batches import OutOfMemory
from remelt.annotators.local import with_lengths
from remelt.errors import AnnotatorError, InputError, RequestRejected
from remelt.protocols import Annotator
from remelt.records import Message, Reply, Request

from ..builders import request
from . import tiny_hf

_MISSING = [n for n in ("torch", "transformers", "llguidance") if importlib.util.find_spec(n) is None]
needs_torch = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")

SYSTEM = Message("system", "You annotate the emotion of one line of a conversation. " * 4)
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "answer",
    "x-remelt-label": "elements.emotion",
    "type": "object",
    "properties": {
        "context": {"type": "string", "x-remelt-max-length": 12},
        "elements": {
            "type": "object",
            "properties": {
                "emotion": {"type": "string", "enum": ["Anger", "Joy", "Neutral"]},
                "pitch": {"type": "string", "x-remelt-max-length": 8},
            },
            "required": ["emotion", "pitch"],
            "additionalProperties": False,
        },
    },
    "required": ["context", "elements"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hf.save(tmp_path_factory.mktemp("models") / "tiny")


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[Any]:
    model = create(f"hf/{folder}", AnnotatorOptions(**{"device": "cpu", **options}))
    await model.start()
    try:
        yield model
    finally:
        await model.close()


def ask(number: int, words: str = "", **changes: Any) -> Request:
    parameters = {"temperature": 1.0, "max_tokens": 120, "seed": number, **changes.pop("parameters", {})}
    messages = (SYSTEM, Message("user", words or f"This is line {number}. " * (number % 5 + 1)))
    return request(number, **{"messages": messages, "schema": SCHEMA, "parameters": parameters, **changes})


async def all_of(model: Annotator, requests: list[Request]) -> list[Reply]:
    return list(await asyncio.gather(*(model.answer(r, r.messages, 0) for r in requests)))


@needs_torch
async def test_answers_follow_the_schema_whatever_the_weights_say(folder: Path) -> None:
    async with running(folder, slots=8) as model:
        replies = await all_of(model, [ask(n) for n in range(24)])
        assert isinstance(model, Annotator)
        assert model.model.startswith("tiny@")
        assert model.notices[0].startswith("tiny (version ")
        assert str(folder.parent) not in model.name + model.model + "".join(model.notices)
    for reply in replies:
        jsonschema.validate(json.loads(reply.raw), with_lengths(SCHEMA))
        assert (reply.means, reply.finish_reason, reply.cost, reply.failure) == ("grammar", "stop", 0.0, "")
        assert reply.input_tokens
        assert reply.output_tokens
    assert len({reply.raw for reply in replies}) > 20
    labels = {json.loads(reply.raw)["elements"]["emotion"] for reply in replies}
    assert labels == {"Anger", "Joy", "Neutral"}


@needs_torch
async def test_a_reply_does_not_depend_on_its_neighbours(folder: Path) -> None:
    asked = [ask(n, parameters={"temperature": float(n % 2)}) for n in range(8)]
    async with running(folder, slots=8, answer_format="prompt") as model:
        together = await all_of(model, asked)
        again = await all_of(model, asked[::-1])
    async with running(folder, slots=1, answer_format="prompt") as model:
        alone = [await model.answer(r, r.messages, 0) for r in asked]
    assert [r.raw for r in together] == [r.raw for r in alone] == [r.raw for r in again[::-1]]
    assert [r.output_tokens for r in together] == [r.output_tokens for r in alone]
    assert len({len(r.messages[-1].content) for r in asked}) > 3


@needs_torch
async def test_the_reply_is_what_transformers_itself_writes(folder: Path) -> None:
    """Independent of our loop, mask and remembered beginning: `generate`, one prompt at a time, greedy."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = [ask(n, parameters={"temperature": 0, "max_tokens": 12}) for n in range(4)]
    async with running(folder, slots=4, answer_format="prompt") as model:
        replies = await all_of(model, asked)
    words = AutoTokenizer.from_pretrained(folder)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for one, reply in zip(asked, replies, strict=True):
        chat = [{"role": m.role, "content": m.content} for m in one.messages]
        prompt = words.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")["input_ids"]
        written = plain.generate(prompt, max_new_tokens=12, do_sample=False)[0, prompt.shape[1] :]
        assert reply.raw == words.decode(written, skip_special_tokens=True)
        assert reply.input_tokens == prompt.shape[1]


@needs_torch
async def test_seed_and_turn_decide(folder: Path) -> None:
    first, other = ask(1), ask(1, parameters={"seed": 77})
    async with running(folder) as model:
        raws = [(await model.answer(first, first.messages, turn)).raw for turn in (0, 0, 1)]
        changed = (await model.answer(other, other.messages, 0)).raw
    assert raws[0] == raws[1]
    assert len({raws[0], raws[2], changed}) == 3


@needs_torch
async def test_max_tokens_cuts_off(folder: Path) -> None:
    async with running(folder) as model:
        (cut,) = await all_of(model, [ask(0, parameters={"max_tokens": 7})])
        assert (cut.finish_reason, cut.output_tokens) == ("length", 7)
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut.raw)


@needs_torch
async def test_prefill_is_continued_as_transformers_does(folder: Path) -> None:
    from transformers import AutoTokenizer

    start = '{"context": "A'
    one = ask(3, prefill=start, parameters={"temperature": 0, "max_tokens": 5})
    async with running(folder, answer_format="prefill") as model:
        text = model._prompts.text(one.messages, start)
        (reply,) = await all_of(model, [one])
        (bare,) = await all_of(model, [ask(3, parameters={"max_tokens": 5})])
    chat = [{"role": m.role, "content": m.content} for m in one.messages]
    chat.append({"role": "assistant", "content": start})
    words = AutoTokenizer.from_pretrained(folder)
    expected = words.apply_chat_template(chat, tokenize=False, continue_final_message=True)
    assert text == expected
    assert (reply.means, reply.input_tokens) == ("prefill", len(words(expected)["input_ids"]))
    assert not reply.raw.startswith(start)
    assert bare.means == "prompt"


@needs_torch
async def test_templates_without_system_message_and_tokenizers_without_template(tmp_path: Path) -> None:
    one = ask(1, "Hello.")
    async with running(tiny_hf.save(tmp_path / "gemma", tiny_hf.NO_SYSTEM)) as model:
        assert model._prompts.text(one.messages) == (
            f"<|im_start|>user\n{SYSTEM.content}\n\nHello.<|im_end|>\n<|im_start|>assistant\n"
        )
        assert any("takes no system message" in notice for notice in model.notices)
        json.loads((await model.answer(one, one.messages, 0)).raw)
    async with running(tiny_hf.save(tmp_path / "base", None)) as model:
        assert model._prompts.text(one.messages, "{") == f"{SYSTEM.content}\n\nHello.\n\n{{"
        assert any("no chat template" in notice for notice in model.notices)
        json.loads((await model.answer(one, one.messages, 0)).raw)


@needs_torch
async def test_a_prompt_that_is_too_long_is_rejected_and_the_others_go_on(tmp_path: Path) -> None:
    async with running(tiny_hf.save(tmp_path / "short", room=300)) as model:
        long, short = ask(0, "word " * 400), ask(1, "Fine.")
        with pytest.raises(RequestRejected, match="context size is 300"):
            await model.answer(long, long.messages, 0)
        near = ask(2, parameters={"max_tokens": None})
        assert (await model.answer(near, near.messages, 0)).finish_reason in ("stop", "length")
        assert (await model.answer(short, short.messages, 0)).raw


@needs_torch
async def test_log_probabilities_of_the_label(folder: Path) -> None:
    async with running(folder, logprobs=True) as model:
        replies = await all_of(model, [ask(n) for n in range(4)])
    for reply in replies:
        assert set(json.loads(reply.label_logprobs)) <= {"anger", "joy", "neutral"}


@needs_torch
async def test_batches_get_smaller_when_memory_is_short(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    sizes: list[int] = []
    read = runtime.Runtime.read

    def narrow(self: Any, rows: Any, shared: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 2 or "word" in self.tokenizer.decode(rows[0]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return read(self, rows, shared)

    monkeypatch.setattr(runtime.Runtime, "read", narrow)
    async with running(folder, slots=8) as model:
        replies = await all_of(model, [ask(n) for n in range(8)])
        assert [len(json.loads(r.raw)) for r in replies] == [2] * 8
        assert sizes == [8, 4, 2, 2, 2, 2]
        assert sum("at once from now" in notice for notice in model.notices) == 2
        with pytest.raises(RequestRejected, match=r"too small .* even for this request alone"):
            await all_of(model, [ask(0, "word")])
    assert not issubclass(OutOfMemory, AnnotatorError)


@needs_torch
async def test_rows_of_like_length_go_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    read = runtime.Runtime.read

    def watch(self: Any, rows: Any, shared: Any) -> Any:
        seen.append([len(row) for row in rows])
        assert len(shared) > 30
        return read(self, rows, shared)

    monkeypatch.setattr(runtime.Runtime, "read", watch)
    asked = [ask(n, "long line " * 40 if n % 2 else "short", parameters={"max_tokens": 3}) for n in range(8)]
    async with running(folder, slots=4) as model:
        assert model.at_once == 16
        await all_of(model, asked)
    assert [len(set(lengths)) for lengths in seen] == [1, 1]


@needs_torch
async def test_closing_gives_up_what_is_in_flight(folder: Path) -> None:
    model = create(f"hf/{folder}", AnnotatorOptions(device="cpu", answer_format="prompt"))
    one = ask(0, parameters={"max_tokens": None})
    with pytest.raises(AnnotatorError, match="not running"):
        await model.answer(one, one.messages, 0)
    await model.start()
    tasks = [asyncio.ensure_future(model.answer(one, one.messages, turn)) for turn in range(12)]
    await asyncio.sleep(0.1)
    await model.close()
    await model.close()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError | AnnotatorError) for end in ended)


@needs_torch
async def test_an_unknown_parameter_is_told_once(folder: Path) -> None:
    async with running(folder) as model:
        await all_of(model, [ask(n, parameters={"reasoning_effort": "low"}) for n in range(3)])
        assert sum("'reasoning_effort'" in notice for notice in model.notices) == 1


@needs_torch
def test_the_model_id_changes_with_the_files(folder: Path, tmp_path: Path) -> None:
    other = tiny_hf.save(tmp_path / "tiny", seed=1)
    ids = {create(f"hf/{f}", AnnotatorOptions()).model for f in (folder, other)}
    (other / "README.md").write_text("read me")
    ids.add(create(f"hf/{other}", AnnotatorOptions()).model)
    assert len(ids) == 2
    config = json.loads((other / "generation_config.json").read_text())
    (other / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": 0}))
    ids.add(create(f"hf/{other}", AnnotatorOptions()).model)
    assert len(ids) == 3


@needs_torch
def test_what_is_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    for spec, message in {
        "hf/": r"Bad hf model '', expected one of \['HUB_ID'",
        "hf/nowhere": "Bad hf model 'nowhere'",
        f"hf/{tmp_path}": r"holds no transformers model.*name its GGUF file: hf/.*model\.gguf",
        "hf/nowhere/x.gguf": "No model file at nowhere/x.gguf",
        "hf/owner/never-fetched-here": "owner/never-fetched-here is not on this machine.*hf/FOLDER",
    }.items():
        with pytest.raises(InputError, match=message):
            create(spec, AnnotatorOptions())
    with pytest.raises(InputError, match="Bad device 'abacus', expected cpu, cuda"):
        create("hf/x", AnnotatorOptions(device="abacus"))
    with pytest.raises(InputError, match=r"Bad answer format of hf/HUB_ID.* 'json_object', expected one of"):
        create("hf/x", AnnotatorOptions(answer_format="json_object"))
    with pytest.raises(InputError, match=r"Bad answer format of mock.* 'scoring'"):
        create("mock", AnnotatorOptions(answer_format="scoring"))


@needs_torch
async def test_a_broken_model_says_so(tmp_path: Path) -> None:
    folder = tiny_hf.save(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights at all")
    model = create(f"hf/{folder}", AnnotatorOptions(device="cpu"))
    with pytest.raises(InputError, match="transformers cannot load broken: "):
        await model.start()
    config = json.loads((folder / "config.json").read_text())
    tiny_hf.save(folder)
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    model = create(f"hf/{folder}", AnnotatorOptions(device="cpu"))
    with pytest.raises(InputError, match=r"broken lacks \d+ of its weights, such as model\.layers\.2"):
        await model.start()


def test_a_missing_package_gives_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "llguidance" else find(name)
    )
    with pytest.raises(
        InputError, match=r"llguidance, which is not installed; run: pip install torch==2\.13\.0 && pip"
    ):
        create("hf/owner/model", AnnotatorOptions())
