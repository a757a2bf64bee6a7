"""What the paper shows besides its scores: sizes, the gain in valence, layers, and other words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import Analysis, Setup, Trial
from ..kept import folder_of
from .options import AUDIO, FRZ, FT, LAYERS, Settings
from .rows import HUMAN, transcripts_to_test, words_of

if TYPE_CHECKING:
    from ....evaluation.predictions import Predictions

ABOUT = "about.json"
SYSTEM = "distilled_avd"
_T1, _SIZES = "Table 1", "parameters in millions"
_FOLDS = "folds"
_TEXT = "tinybert"
_MILLION = 1e6
Results = Mapping[Trial, Sequence["Predictions"]]


def of(setup: Setup, results: Results, folder: Path) -> list[Analysis]:
    """All of them that the run's variants allow."""
    abouts = {trial: _about(setup, trial) for trial in results}
    found = [_sizes(results, abouts), _gains(setup, results)]
    found += [_layers(results, abouts, folder), _words(setup, results)]
    return [one for one in found if one is not None]


def scores(predictions: Sequence[Predictions]) -> dict[str, float]:
    """CCC of each dimension and their mean, over the rows put together."""
    import numpy as np

    from ....evaluation.metrics import of_values

    reference = np.concatenate([one.reference for one in predictions])
    values = np.concatenate([one.scores for one in predictions])
    return of_values(reference, values, predictions[0].dimensions)


def _about(setup: Setup, trial: Trial) -> dict[str, Any]:
    path = folder_of(setup.options.out, trial) / ABOUT
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _cells(results: Results) -> dict[tuple[str, str], dict[str, float]]:
    """Variant and test -> CCC: over the rows of all folds together (`folds`), or the mean over trainings."""
    parts: dict[tuple[str, str], dict[tuple[int, str], list[Predictions]]] = {}
    for trial, found in results.items():
        for one in found:
            test = _joined(one.test, trial.fold)
            training = (trial.seed, "" if test.startswith(_FOLDS) else trial.fold)
            parts.setdefault((trial.variant, test), {}).setdefault(training, []).append(one)
    return {key: _mean([scores(one) for one in runs.values()]) for key, runs in parts.items()}


def _joined(test: str, fold: str) -> str:
    """The test's name without its fold's, so that folds are put together."""
    if not fold:
        return test
    name, plus, words = test.partition("+")
    name = _FOLDS if name == fold else name.removesuffix(f"@{fold}")
    return f"{name}{plus}{words}"


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _sizes(results: Results, abouts: Mapping[Trial, Mapping[str, Any]]) -> Analysis | None:
    """The paper's Table 1: CCC beside the size of the model."""
    by_variant = {trial.variant: abouts[trial] for trial in results}
    rows = []
    for (variant, test), values in _cells(results).items():
        if variant.startswith(LAYERS) or "+" in test:
            continue
        about = by_variant[variant]
        size = about["parameters"]
        rows.append(
            {
                "variant": variant,
                "speech": about["speech"],
                "text": about["text"] or "",
                "parameters_millions": None if size is None else round(size / _MILLION, 3),
                "trained_millions": round(about["trained"] / _MILLION, 3),
                "test": test,
                **{name: round(value, 4) for name, value in values.items()},
                **(_paper(variant, str(about["speech"]), test) if about["text"] in (None, _TEXT) else {}),
            }
        )
    if not rows:
        return None
    notes = (
        "Parameters are counted from the models, frozen encoders among them. Columns `paper_` are the "
        "paper's on MSP-Podcast 1.10 with the same encoders, there only where they are known.",
    )
    return Analysis("sizes", "CCC by variant, beside the size of the model", rows, notes=notes)


def _paper(variant: str, speech: str, test: str) -> dict[str, float]:
    from .. import published

    model = f"{variant}, {speech}"
    found: dict[str, float] = {}
    for table in published.values(SYSTEM):
        if not (table["table"].endswith(_T1) or table["table"].endswith(_SIZES)):
            continue
        for row in table["rows"]:
            if row["model"] == model and row["test"] in ("", test):
                found |= {f"paper_{name}": value for name, value in row["values"].items()}
    return found


def _gains(setup: Setup, results: Results) -> Analysis | None:
    """What text adds in each dimension, relative to audio alone."""
    cells = _cells(results)
    rows = []
    for (variant, test), values in cells.items():
        base = cells.get((AUDIO, test))
        if variant not in (FT, FRZ) or base is None:
            continue
        for name in setup.settings.dimensions:
            a, b = base[f"ccc_{name}"], values[f"ccc_{name}"]
            rows.append(
                {
                    "variant": variant,
                    "test": test,
                    "dimension": name,
                    "audio": round(a, 4),
                    "with_text": round(b, 4),
                    "gain_over_base": round((b - a) / a, 4) if a > 0 else None,
                }
            )
    if not rows:
        return None
    note = "gain_over_base is (with text - audio) / audio, no error reduction; none where audio is 0 or less."
    return Analysis("text_gains", "Gain over audio alone, relative to it", rows, notes=(note,))


def _layers(results: Results, abouts: Mapping[Trial, Mapping[str, Any]], folder: Path) -> Analysis | None:
    """The weights over the layers of a frozen encoder, per dimension (section 4.3)."""
    from ....audit.figures import figure_bytes
    from .figures import layers_figure

    found: dict[str, list[list[float]]] = {}
    encoder = ""
    for trial in results:
        if trial.variant.startswith(f"{LAYERS}_"):
            encoder = str(abouts[trial]["speech"])
            name = trial.variant.removeprefix(f"{LAYERS}_")
            found.setdefault(name, []).append(abouts[trial]["layer_weights"])
    if not found:
        return None
    means = {name: [sum(w) / len(w) for w in zip(*runs, strict=True)] for name, runs in found.items()}
    rows = [
        {"layer": layer, **{name: round(weights[layer], 5) for name, weights in means.items()}}
        for layer in range(len(next(iter(means.values()))))
    ]
    for kind, content in figure_bytes(layers_figure(means, encoder)).items():
        (folder / f"layer_importance.{kind}").write_bytes(content)
    trainings = len(next(iter(found.values())))
    notes = (
        f"Layer 0 is what the first transformer layer of {encoder} gets. Softmax weights add up to 1; equal "
        f"ones are {1 / len(rows):.4f}. Means over {trainings} trainings (folds, seeds).",
    )
    return Analysis(
        "layer_importance",
        f"Weights over the layers of {encoder}, by dimension",
        rows,
        figure=f"{folder.name}/layer_importance.svg",
        notes=notes,
    )


def _words(setup: Setup, results: Results) -> Analysis | None:
    """The same model with the words of people and of recognisers, on the same rows."""
    rows: list[dict[str, Any]] = []
    cells: dict[tuple[str, str, str], list[tuple[Predictions, Predictions]]] = {}
    for trial, found in results.items():
        by_test = {one.test: one for one in found}
        for one in found:
            test, plus, words = one.test.partition("+")
            if plus:
                key = (trial.variant, _joined(test, trial.fold), words)
                cells.setdefault(key, []).append((_only(by_test[test], one.ids), one))
    rates = _rates(setup)
    for (variant, test, words), pairs in cells.items():
        own = _mean([scores([a]) for a, _ in pairs])
        heard = _mean([scores([b]) for _, b in pairs])
        rows.append(
            {
                "variant": variant,
                "test": test,
                "words": words,
                "rows": sum(len(one.ids) for _, one in pairs),
                **rates.get((test.partition("@")[0], words), rates.get(("", words), {})),
                **{f"own_words_{name}": round(value, 4) for name, value in own.items()},
                **{f"asr_{name}": round(value, 4) for name, value in heard.items()},
            }
        )
    if not rows:
        return None
    notes = (
        "Both columns are of the rows in which the recogniser heard words. WER is pooled over the source's "
        "rows with a reference, as a share; `wer_processed` is without case and punctuation.",
    )
    return Analysis("asr_robustness", "The same models with a recogniser's words", rows, notes=notes)


def _only(predictions: Predictions, ids: Sequence[str]) -> Predictions:
    from dataclasses import replace

    place = {key: row for row, key in enumerate(predictions.ids)}
    rows = [place[key] for key in ids]
    return replace(
        predictions,
        ids=tuple(ids),
        groups=tuple(predictions.groups[row] for row in rows),
        reference=predictions.reference[rows],
        scores=predictions.scores[rows],
    )


def _rates(setup: Setup) -> dict[tuple[str, str], dict[str, float | None]]:
    """Test set ("" for the source's own) and transcripts -> word error rates, where there are human words."""
    from ....voice.wer import Pair, WerOptions, score

    settings: Settings = setup.settings
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for name, material in (("", setup.material), *setup.tests.items()):
        if words_of(material, settings) != HUMAN:
            continue
        for words in transcripts_to_test(material, settings):
            heard = material.transcripts[words]
            pairs = [
                Pair(row.id, row.text, heard.get(row.id))
                for row in material.examples
                if row.text and row.has_sound
            ]
            total = score(pairs, WerOptions(by=(), resamples=0)).total
            found[name, words] = {f"wer_{reading}": rate.wer for reading, rate in total.items()}
    return found
