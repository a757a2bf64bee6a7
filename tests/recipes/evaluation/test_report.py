"""Tables, report and figure of made-up results; presets and the papers' numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remelt.errors import InputError
from remelt.evaluation import presets
from remelt.evaluation.training.options import TrainingOptions
from remelt.recipes.evaluation import published, report, systems, tables
from remelt.recipes.evaluation.catalogue import described_encoders, described_system
from remelt.recipes.evaluation.figure import overview
from remelt.recipes.evaluation.results import gains, pairs
from remelt.recipes.evaluation.settings import settings_of, training_of

from .stub import StubOptions, StubSystem


def line(condition: str, value: float, **more: Any) -> dict[str, Any]:
    estimate = {"value": value, "low": value - 0.05, "high": value + 0.05, "sd": None}
    return {
        "condition": condition, "variant": "", "test": "tess", "rows": 2800, "metrics": {"uar": estimate},
        "classes": {"joy": {"recall": value}}, "notes": [], "warnings": [], **more,
    }  # fmt: skip


@pytest.fixture
def results() -> dict[str, Any]:
    difference = {"a": 0.3, "b": 0.4, "value": 0.1, "low": 0.05, "high": 0.15, "p": 0.0004, **gains(0.3, 0.4)}
    return {
        "material": "meld", "title": "A | system", "paper": "Nobody 2025", "metric": "uar", "folds": [],
        "scores": [line("old", 0.3), line("new", 0.4, warnings=["collapse to one class: 90% are joy"])],
        "baselines": [line("old", 0.14, baseline="majority")],
        "differences": [
            {"variant": "", "test": "tess", "a": "old", "b": "new", "differences": {"uar": difference}}
        ],
        "published": published.values("melt"), "analyses": [], "notes": ["tess: a note"],
        "encoders": [{"name": "e", "kind": "text", "identity": "0" * 64, "notices": []}],
    }  # fmt: skip


CONFIG: dict[str, Any] = {
    "material": {"name": "meld", "rows": 7024}, "labels": ["old", "new"], "preset": "quick", "seeds": [0],
    "speech": None, "text": "e", "class_rule": "both", "limit": None, "resamples": 200,
    "training": {"lr": 0.001}, "settings": {"parts": [1, 2]},
}  # fmt: skip


def test_the_report_names_measured_and_published_numbers_apart(
    results: dict[str, Any], tmp_path: Path
) -> None:
    text = report.write(tmp_path, CONFIG, results).read_text(encoding="utf-8")
    assert text.startswith("# A \\| system\n")
    measured, told = text.split("## Published, not measured here: Jing et al. 2025, Table 3")
    assert "| tess | new | model | 2,800 | .400 \\[.350, .450\\] |" in measured
    assert "| tess | new | wav2vec2-base-960h | .3407 | .3407 | .2567 |" in told
    assert "ravdess" not in told.split("##")[0]
    change = "| old .300 | new .400 | +.100 \\[+.050, +.150\\] | &lt; .001 | +33.3 % | +14.3 % |"
    assert f"| tess | model | UAR {change}" in text
    assert "tess, new: collapse to one class" in text


def test_published_rows_of_no_test_stand_beside_those_of_the_tests(results: dict[str, Any]) -> None:
    def titles(test: str, system: str) -> dict[str, int]:
        asked = {**results, "scores": [line("old", 0.3, test=test)], "published": published.values(system)}
        return {one.title.partition(": ")[2]: len(one.rows) for one in tables.published_tables(asked)}

    found = titles("test1", "distilled_avd")
    assert found["de Oliveira et al. 2023, Table 1, parameters in millions"] == 6
    assert found["de Oliveira et al. 2023, Table 1"] == 6
    # The compared systems' splits are not known.
    assert (
        titles("test_dependent", "reclassify")["Alqurashi et al. 2024, Table 3 (IEMOCAP, four classes)"] == 7
    )
    everything = titles("elsewhere", "distilled_avd")
    assert everything["de Oliveira et al. 2023, Table 1"] == 12


def test_the_figure_is_the_same_bytes_for_the_same_numbers(results: dict[str, Any]) -> None:
    drawn = overview(results)
    assert drawn["png"].startswith(b"\x89PNG")
    assert drawn == overview(results)
    text = drawn["svg"].decode()
    for piece in ("tess", "old", "new", "majority (old)", "UAR with its 95 % interval"):
        assert piece in text


def test_published_numbers_have_known_tests_and_shares() -> None:
    for name in systems.names():
        for table in published.values(name):
            assert table["rows"], name
            for row in table["rows"]:
                assert row["values"], (name, row)
                scores = [
                    v for k, v in row["values"].items() if k.startswith(("uar", "accuracy", "f1", "ccc"))
                ]
                assert all(0 <= value <= 1 for value in scores), (name, row)
    # Jing et al. 2025, Table 3, WavLM on RAVDESS.
    rows = [r for t in published.values("melt") for r in t["rows"] if "wavlm" in r["model"]]
    [row] = [r for r in rows if (r["test"], r["labels"]) == ("ravdess", "new")]
    assert row["values"]["uar"] == 0.3244


@pytest.mark.parametrize("name", systems.names())
def test_the_presets_of_every_system_fit_its_options(name: str) -> None:
    system = systems.system(name)
    assert set(presets.PRESETS) <= set(presets.names(name))
    for preset in presets.names(name):
        found = presets.load(name, preset)
        assert isinstance(training_of(found.training, {}), TrainingOptions)
        assert isinstance(settings_of(system.INFO, found.settings, {}), system.INFO.settings)
        known = {one["name"] for one in described_encoders()}
        for encoder in (found.speech, found.text):
            joined = (encoder or "minilm-local").split("+")
            assert all(part in known for part in joined), encoder
    shown = described_system(name)
    assert {one["name"] for one in shown["settings"]} == set(system.INFO.settings.__dataclass_fields__)


def test_settings_are_read_by_their_types() -> None:
    given = {"smoothing": "2", "order": "letters", "scale": "yes", "parts": "3,4", "depth": "none"}
    assert settings_of(StubSystem().INFO, {}, given) == StubOptions(2.0, "letters", True, (3, 4), None)
    assert settings_of(StubSystem().INFO, {"depth": 3}, {}).depth == 3
    # YAML takes 1e-4 for a text.
    assert training_of({"lr": "1e-4"}, {"epochs": "7"}) == TrainingOptions(lr=1e-4, epochs=7)
    for key, value, told in (("scale", "maybe", "true or false"), ("parts", "a", "a whole number")):
        with pytest.raises(InputError, match=f"Bad {key} .*{told}"):
            settings_of(StubSystem().INFO, {}, {key: value})


def test_what_is_compared_with_what() -> None:
    assert pairs(("new", "old", "gpt")) == [("old", "new"), ("old", "gpt")]
    assert pairs(("human", "augmented")) == [("human", "augmented")]
    assert pairs(()) == []
    assert gains(None, 0.5)["error_reduction"] is None
    assert tables.share(-0.0001, signed=True) == "+.000"
