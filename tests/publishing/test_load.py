"""What a user sees: load_dataset in a fresh process, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from remelt.labels import MELT
from remelt.publishing import find_problems, publish, seal

SCRIPT = """
import json, sys
from datasets import load_dataset
out = sys.argv[1]
found = {}
for config in [None, "annotations", "dropped"]:
    loaded = load_dataset(out, config) if config else load_dataset(out)
    found[str(config)] = {split: loaded[split].num_rows for split in loaded}
    if config is None:
        train = loaded["train"]
        found["labels"] = train.features["label"].names
        found["original"] = train.features["original_label"].names
        found["first"] = train.features["label"].int2str(train[1]["label"])
        found["text"] = train[1]["text"]
        found["none"] = train[3]["original_label"]
found["streamed"] = len(list(load_dataset(out, split="train", streaming=True)))
found["heavy"] = sorted({"torch", "torchcodec"} & set(sys.modules))
print(json.dumps(found))
"""


def load(out: Path, cache: Path) -> dict:
    environment = {
        **os.environ,
        "HF_DATASETS_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cache),
        # Where torch is installed, datasets imports it whatever it loads.
        "USE_TORCH": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(out)], env=environment, capture_output=True, text=True, cwd=cache
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_all_configs_load_beside_everything_else_in_the_folder(published, tmp_path):
    (published / ".remelt" / "local.json").write_text('{"corpus_folder": "/data"}')
    (published / "audit").mkdir()
    for name in ("findings.json", "change_matrix.json"):
        (published / "audit" / name).write_text('[{"label": "x"}]')
    (published / "audit" / "train.csv").write_text("a,b\n1,2\n")
    seal(published)
    assert find_problems(published) == []
    found = load(published, tmp_path)
    assert found["None"] == {"train": 4, "test": 1}
    assert found["annotations"] == {"train": 7, "test": 1}
    # load_dataset cannot read a split without rows, so the card leaves it out.
    assert found["dropped"] == {"train": 2}
    assert found["labels"] == list(MELT.labels)
    assert found["original"] == [*MELT.labels, "frustration"]
    assert (found["first"], found["text"], found["none"]) == ("disgust", 'Say "hi"\nnow', None)
    assert found["streamed"] == 4
    assert found["heavy"] == []


def test_a_config_without_rows_spoils_no_other(content, tmp_path, annotation):
    import datasets

    kept = [a for a in content.annotations if a.verdict.status == "valid"]
    publish(
        tmp_path / "out",
        replace(content, annotations=kept, drops=(), inputs={"train": 4, "test": 1}, attrition=()),
    )
    assert find_problems(tmp_path / "out") == []
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].num_rows == 4
    with pytest.raises(ValueError, match="corresponds to no data"):
        datasets.load_dataset(str(tmp_path / "out"), "dropped", cache_dir=str(tmp_path / "cache"))


def test_a_build_that_kept_nothing_does_not_load_another_config(content, tmp_path):
    import datasets

    publish(tmp_path / "out", replace(content, splits=("train",), annotations=(), drops=content.drops[1:],
                                      inputs={"train": 1}, attrition=()))  # fmt: skip
    assert find_problems(tmp_path / "out") == []
    with pytest.raises(ValueError, match="corresponds to no data"):
        datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    dropped = datasets.load_dataset(str(tmp_path / "out"), "dropped", cache_dir=str(tmp_path / "cache"))
    assert dropped["train"][0]["reasons"] == ["duration", "words"]
