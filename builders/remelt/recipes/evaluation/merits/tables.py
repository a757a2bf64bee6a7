"""What the stages and the pre-trainings add, with the kind of gain named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ....errors import InputError
from ..base import Analysis, Setup, Trial
from ..kept import folder_of
from .plan import pretrainings, read_variant, settings_of
from .pretraining import told
from .settings import FUSION, MERGED, NOT_CARE, SPEECH_1, SPEECH_2, TEXT_1, TEXT_2, Pretrained

if TYPE_CHECKING:
    from ....evaluation.predictions import Predictions

Results = Mapping[Trial, "Sequence[Predictions]"]
_METRIC = "weighted_f1"
# A stage, what it is measured against, and the kind of gain that the paper reports for the step.
_STEPS = (
    (TEXT_2, TEXT_1, "gain/base"),
    (SPEECH_2, SPEECH_1, "gain/base"),
    (FUSION, TEXT_2, "error reduction"),
    (FUSION, SPEECH_2, ""),
    (MERGED, FUSION, ""),
)
_KINDS = (
    "gain/base is (b - a) / a, error reduction is (b - a) / (1 - a), for weighted F1 as a share. The paper's "
    "gains from stage I to II are gain/base, those of the fusion over text alone error reduction; of those "
    "in its figure 3 it does not say which they are."
)
_ANOTHER = (
    "Not CARE: stage I of sound reads {name} with learnt layer weights, as the paper's encoder is not "
    "published. Its numbers, and those of the fusion, are of another model than the paper's."
)


def analyses(setup: Setup, results: Results) -> list[Analysis]:
    """The tables that the results allow."""
    runs = _runs(setup, results)
    found = [_steps(setup, runs), _pretraining(setup, runs), _layers(setup, results)]
    return [one for one in found if one is not None]


def _runs(setup: Setup, results: Results) -> dict[tuple[str, str, str, str], list[Predictions]]:
    """(condition, stage, pre-training, test) -> predictions of each seed."""
    found: dict[tuple[str, str, str, str], list[Predictions]] = {}
    settings = settings_of(setup)
    for trial, predictions in results.items():
        stage, chosen = read_variant(trial.variant, settings)
        for one in predictions:
            key = (trial.condition, stage, _name(chosen), one.test)
            found.setdefault(key, []).append(one)
    return found


def _name(chosen: Pretrained | None) -> str:
    return "" if chosen is None else chosen.name


def _compared(setup: Setup, a: Sequence[Predictions], b: Sequence[Predictions]) -> dict[str, Any]:
    """Weighted F1 of both, the difference with its interval, both kinds of gain."""
    from ....evaluation.comparison import compare
    from ..results import gains

    try:
        found = compare(list(a), list(b), setup.options.resamples)
    except InputError as error:
        return {"note": str(error)}
    one = found.differences[_METRIC]
    gain = gains(one.a, one.b)
    return {
        "rows": found.rows,
        "a": round(one.a, 4),
        "b": round(one.b, 4),
        "b - a": round(one.value, 4),
        "low": round(one.low, 4),
        "high": round(one.high, 4),
        "p": round(one.p, 4),
        "gain/base": gain["gain_over_base"],
        "error reduction": gain["error_reduction"],
    }


def _steps(setup: Setup, runs: Mapping[tuple[str, str, str, str], Sequence[Predictions]]) -> Analysis | None:
    first = next((one.name for one in pretrainings(settings_of(setup))), "")
    rows = []
    for condition, test in dict.fromkeys((key[0], key[3]) for key in runs):
        for stage, base, kind in _STEPS:
            a, b = (runs.get((condition, name, first, test)) for name in (base, stage))
            if a and b:
                row = {"labels": condition, "test": test, "a is": base, "b is": stage}
                rows.append({**row, **_compared(setup, a, b), "the paper's kind": kind})
    if not rows:
        return None
    notes = [_KINDS]
    heard = any(key[1] in (SPEECH_1, SPEECH_2, FUSION, MERGED) for key in runs)
    if heard and settings_of(setup).speech_encoder == NOT_CARE:
        notes.append(_ANOTHER.format(name=setup.speech))
    return Analysis("stages", "What each stage adds (weighted F1)", rows, notes=tuple(notes))


def _pretraining(
    setup: Setup, runs: Mapping[tuple[str, str, str, str], Sequence[Predictions]]
) -> Analysis | None:
    """Each pre-training against the encoder as it is, and the first against the others (figure 3)."""
    names = [one.name for one in pretrainings(settings_of(setup))]
    if not names:
        return None
    pairs = [(base, names[0]) for base in reversed(names[1:])]
    pairs += [(names[-1], other) for other in names[1:-1]]
    rows = []
    for condition, test in dict.fromkeys((key[0], key[3]) for key in runs):
        for base, other in pairs:
            a, b = (runs.get((condition, TEXT_1, name, test)) for name in (base, other))
            if a and b:
                row = {"labels": condition, "test": test, "a is": base, "b is": other}
                rows.append({**row, **_compared(setup, a, b)})
    root = setup.options.out / "pretraining"
    notes = [_KINDS]
    for one in told(sorted(root.glob("*/seed*"))):
        best = one["validation"].get(_METRIC)
        score = "" if best is None else f", weighted F1 {best:.3f} on the held-out sentiment labels"
        notes.append(
            f"{one['name']}: {one['rows']['train']:,} rows to train on, "
            f"{one['rows']['validation']:,} held out{score}."
        )
    return Analysis("pretraining", "What the pre-training adds to stage I of words", rows, notes=tuple(notes))


def _layers(setup: Setup, results: Results) -> Analysis | None:
    """The learnt weights of the layers of sound."""
    rows = []
    for trial in results:
        path = folder_of(setup.options.out, trial) / "layers.json"
        if trial.variant == SPEECH_1 and path.is_file():
            shares = json.loads(path.read_text(encoding="utf-8"))
            row: dict[str, Any] = {"labels": trial.condition, "seed": trial.seed}
            rows.append({**row, **{f"layer {k}": round(share, 4) for k, share in enumerate(shares)}})
    if not rows:
        return None
    equal = 1 / (len(rows[0]) - 2)
    note = f"Layer 0 is the input of the first layer of {setup.speech}; equal weights are {equal:.3f}."
    return Analysis("layers", "Weights of the layers in stage I of sound", rows, notes=(note,))
