"""From what a user asks for to a `Setup`: preset, options, material, and refusals before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...evaluation.training.options import TrainingOptions
from .base import EvaluationOptions, Material, Setup, System, SystemInfo
from .settings import plain_settings, settings_of, training_of
from .sources import Wants, place_of, read

if TYPE_CHECKING:
    from ..reporting import Reporter
    from .desk import CachedDesk

FORMAT = 1
CLASS_RULES = ("both", "own")
NONE = "none"
_HELD_OUT = ("dev", "devel", "development", "val", "valid", "validation", "test")
_SHOWN = 3


def prepare(options: EvaluationOptions, system: System, desk: CachedDesk, reporter: Reporter) -> Setup:
    """Reads everything and checks it.

    Args:
        options: what the user asks for.
        system: the system of that name.
        desk: for the features.
        reporter: is told of what it should be.

    Raises:
        InputError: a value that cannot be, or material that does not suit the system.
    """
    from ...evaluation.presets import load

    info = system.INFO
    if options.class_rule not in CLASS_RULES:
        raise InputError(bad_value("class rule", options.class_rule, CLASS_RULES))
    if not options.seeds or len(set(options.seeds)) < len(options.seeds):
        raise InputError(f"Bad seeds {list(options.seeds)!r}, expected different whole numbers")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"Bad limit {options.limit!r}, expected a number of rows from 1")
    preset = load(info.name, options.preset)
    training = training_of(preset.training, options.training)
    settings = settings_of(info, preset.settings, options.settings)
    if (needs := getattr(system, "needs", None)) is not None:
        info = replace(info, needs=needs(settings))
    wants = Wants(options.clips, options.label_files, options.transcripts, options.scale)
    speech = _encoder(options.speech, preset.speech)
    material = _checked(read(options.source, wants, reporter), info, options, speech, reporter)
    tests = {
        name: _checked(_test(name, source, options, reporter), info, options, speech, reporter)
        for name, source in options.tests.items()
    }
    conditions = conditions_of(info, material, options.labels)
    if info.task == "classification":
        for condition in conditions:
            _check_classes(material, condition)
            if unlabelled := _unlabelled(material, condition):
                reporter.notice(
                    f"Labels {condition!r}: no row of the split{'s' if len(unlabelled) > 1 else ''} "
                    f"{', '.join(unlabelled)} has one"
                )
    for name, test in tests.items():
        refuse_shared(material, test, name)
    return Setup(
        options=replace(options, labels=conditions),
        material=material,
        tests=tests,
        training=training,
        settings=settings,
        speech=speech,
        text=_encoder(options.text, preset.text),
        desk=desk,
    )


def _encoder(given: str | None, preset: str | None) -> str | None:
    """`none` takes the preset's encoder away."""
    if given is None:
        return preset
    return None if given.casefold() == NONE else given


def _test(name: str, source: str, options: EvaluationOptions, reporter: Reporter) -> Material:
    place = place_of(source)
    known = source if place.name or Path(source).exists() else f"{name}={source}"
    found = read(_named(name, source) if not place.name else known, Wants(scale=options.scale), reporter)
    return replace(found, name=name, source=source)


def _named(name: str, source: str) -> str:
    """The source under the name of a reader, where the test has one."""
    from ... import corpora

    return f"{name}={source}" if name in corpora.names() else source


def _checked(
    material: Material,
    info: SystemInfo,
    options: EvaluationOptions,
    speech: str | None,
    reporter: Reporter,
) -> Material:
    """The material, looked at for what the system needs.

    Raises:
        InputError: no row has it.
    """
    from .sounds import checked

    if "speech" in info.needs and not any(row.has_sound for row in material.examples):
        raise InputError(
            f"{info.name} hears, and no row of {material.source} has sound: build the dataset with "
            "--audio flac, or name the folder of the corpus's clips with --corpus DIR"
        )
    if speech is not None and any(row.has_sound for row in material.examples):
        material = checked(material, features_folder(options), reporter)
    if "text" in info.needs:
        empty = [row.id for row in material.examples if not (row.text or "").strip()]
        if len(empty) == len(material.examples):
            raise InputError(f"{info.name} reads, and no row of {material.source} has words")
        if empty:
            reporter.notice(
                f"{len(empty):,} of {len(material.examples):,} rows of {material.source} have no words and "
                f"are left out by models that read, such as {', '.join(empty[:_SHOWN])}"
            )
    return material


def features_folder(options: EvaluationOptions) -> Path:
    """Where features are cached."""
    return options.features if options.features is not None else options.out / "features"


def conditions_of(info: SystemInfo, material: Material, asked: Sequence[str]) -> tuple[str, ...]:
    """The labels to train under: those asked for, else those of the system's defaults that are there.

    Raises:
        InputError: a condition that the material does not have, or none at all.
    """
    for name in asked:
        if name not in material.labels:
            raise InputError(bad_value(f"labels of {material.source}", name, material.labels))
    if len(set(asked)) < len(asked):
        raise InputError(f"Bad labels {list(asked)!r}: one stands there twice")
    if asked:
        return tuple(asked)
    found = tuple(name for name in info.default_labels if name in material.labels)
    if material.kind == "folds":
        found = tuple(material.labels)
    if info.task == "regression":
        return found or ("ratings",)
    if not found:
        raise InputError(
            f"{material.source} has none of the labels {list(info.default_labels)!r}; "
            f"name others with --labels: {list(material.labels)!r}"
        )
    return found


def _check_classes(material: Material, condition: str) -> None:
    """Refuses labels that nothing can be learnt from.

    Raises:
        InputError: no labelled row, a single class, or a class with one example.
    """
    splits = {row.id: row.split for row in material.examples}
    labels = material.labels[condition]
    counts = Counter(labels.values())
    if len(counts) < 2:
        raise InputError(
            f"{material.source}: the labels {condition!r} have {sorted(counts)!r} only; two or more classes "
            "are needed"
        )
    if alone := sorted(label for label, count in counts.items() if count == 1):
        row = next(name for name, label in labels.items() if label == alone[0])
        raise InputError(
            f"{material.source}: the class {alone[0]!r} of the labels {condition!r} has one example ({row}, "
            f"split {splits.get(row)!r}); nothing can be learnt and tested of it"
        )


def _unlabelled(material: Material, condition: str) -> list[str]:
    """Splits without any label of a condition."""
    labelled = {row.split for row in material.examples if row.id in material.labels[condition]}
    return [s for s in dict.fromkeys(row.split for row in material.examples) if s not in labelled]


def refuse_shared(material: Material, test: Material, name: str) -> None:
    """Refuses test rows that are trained on.

    Raises:
        InputError: rows of the material outside its own test and validation parts are in the test.
    """
    trained = {row.id for row in material.examples if row.split.casefold() not in _HELD_OUT}
    shared = [row.id for row in test.examples if row.id in trained]
    if shared:
        raise InputError(
            f"{len(shared):,} rows of the test set {name!r} are rows of {material.source} that can train, "
            f"such as {', '.join(shared[:_SHOWN])}; name its splits to test on: {name}={test.source}@dev"
        )


def config_of(setup: Setup, info: SystemInfo) -> dict[str, Any]:
    """Everything that decides a run's numbers, and what it was called with."""
    options = setup.options
    return {
        "format": FORMAT,
        "remelt_version": _version(),
        "system": info.name,
        "preset": options.preset,
        "material": {**_identity(setup.material), "data": _data(setup.material)},
        "given": _given(options),
        "tests": {name: _identity(test) for name, test in setup.tests.items()},
        "labels": list(options.labels),
        "seeds": list(options.seeds),
        "limit": options.limit,
        "class_rule": options.class_rule,
        "speech": setup.speech,
        "text": setup.text,
        "training": plain_settings(setup.training),
        "settings": plain_settings(setup.settings),
        "resamples": options.resamples,
    }


def _given(options: EvaluationOptions) -> dict[str, Any]:
    """What was named beside the source; what came of it decides, as the material's identity."""
    return {
        "corpus": None if options.clips is None else str(options.clips),
        "label_files": {name: str(path) for name, path in options.label_files.items()},
        "transcripts": {name: str(path) for name, path in options.transcripts.items()},
        "scale": None if options.scale is None else list(options.scale),
    }


def _identity(material: Material) -> dict[str, Any]:
    return {
        "name": material.name,
        "kind": material.kind,
        "source": material.source,
        "rows": len(material.examples),
        "labels": {name: len(found) for name, found in material.labels.items()},
        "identity": material.identity,
    }


def _data(material: Material) -> str:
    """A hash of a dataset's rows, by which its card knows its runs; empty for anything else."""
    from ...publishing import read_manifest
    from ...publishing.evaluation import data_digest

    if material.kind != "dataset":
        return ""
    return data_digest(read_manifest(Path(place_of(material.source).path)))


def deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config that may not change while a run goes on.

    Where things lie, what computes, and how often is drawn for the intervals may.
    """
    free = ("remelt_version", "resamples", "format", "given")
    kept = {name: value for name, value in config.items() if name not in free}
    kept["training"] = {
        name: value for name, value in config["training"].items() if name not in ("device", "threads")
    }
    for name in ("material", "tests"):
        kept[name] = _without_places(config[name])
    return kept


def _without_places(record: Any) -> Any:
    if isinstance(record, Mapping):
        return {name: _without_places(value) for name, value in record.items() if name != "source"}
    return record


def _version() -> str:
    from ... import __version__

    return __version__


def training_device(training: TrainingOptions, device: str) -> TrainingOptions:
    """The same options with the device that was found."""
    return replace(training, device=device)
