"""What every system's evaluation is made of: material, trials, predictions, analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...evaluation.examples import Example, SoundSource
from ...evaluation.training.options import TrainingOptions

if TYPE_CHECKING:
    from ...evaluation.features import Features
    from ...evaluation.predictions import Predictions
    from ..reporting import Reporter

# Names of label conditions: a corpus's own labels, and those that a relabelling gave.
OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Material:
    """A corpus or a remelt dataset, ready to train or test on.

    Attributes:
        name: of the corpus.
        source: the folder as given.
        kind: `dataset` (made by remelt) or `corpus`.
        examples: all rows, in corpus order, dialogues together; their `label` is None (see `under`).
        labels: condition (`old`, `new`, an annotator's name) -> utterance id -> label under its common name;
            ids without a label in that condition are left out.
        sounds: None where no row has sound.
        transcripts: name of a recogniser's transcripts -> utterance id -> words.
        notes: sentences about the reading (labels without a common name, rows left out).
        identity: sha256 over what was read, for the run's config.
        folds: of a folder made by `remelt augment`: fold -> split (`train`, `validation`, `test`) -> ids. Its
            conditions are `human` (the corpus's own rows) and `augmented` (those and the added ones, which
            stand in `train` only); rows without a label in a condition are left out of it.
    """

    name: str
    source: str
    kind: str
    examples: tuple[Example, ...]
    labels: Mapping[str, Mapping[str, str]]
    sounds: SoundSource | None = None
    transcripts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    identity: str = ""
    folds: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def under(self, condition: str) -> tuple[Example, ...]:
        """All rows with the labels of a condition; rows without one have None.

        Raises:
            InputError: there is no such condition; the message lists the choices.
        """
        from ...errors import InputError, bad_value

        if condition not in self.labels:
            raise InputError(bad_value(f"labels of {self.source}", condition, self.labels))
        found = self.labels[condition]
        return tuple(replace(row, label=found.get(row.id)) for row in self.examples)


@dataclass(frozen=True)
class EvaluationOptions:
    """What a user asks for.

    Attributes:
        source: the dataset folder, or `CORPUS=DIR`.
        out: the run folder.
        system: its name.
        preset: `paper` or `quick`.
        labels: the conditions to train under, compared with each other.
        tests: name -> folder of corpora to test on besides the source's own splits.
        seeds: each trial is repeated with each.
        speech, text: encoders; None for the preset's.
        training: fields of `TrainingOptions` that differ from the preset's.
        settings: fields of the system's own options that differ from the preset's, as text (`--set`).
        resamples: of the bootstrap.
        limit: rows of training, drawn with the seed; None for all.
        class_rule: of tests on other corpora, which rows train: `both` those whose labels of all conditions
            are among the test's classes, `own` those whose label of the condition is.
        clips: folder of the corpus's clips, for a dataset without sound.
        label_files: condition -> table of labels for the source's rows.
        transcripts: name -> folder made by `remelt transcribe` for the source's rows.
        scale: lowest and highest value of dimensions such as arousal; None for the corpus's own.
        features: folder of the cached features; None for the run's own.
    """

    source: str
    out: Path
    system: str
    preset: str = "quick"
    labels: tuple[str, ...] = ()
    tests: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    speech: str | None = None
    text: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    resamples: int = 2_000
    limit: int | None = None
    class_rule: str = "both"
    clips: Path | None = None
    label_files: Mapping[str, Path] = field(default_factory=dict)
    transcripts: Mapping[str, Path] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    features: Path | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One training (or one chain of trainings) with its tests.

    Attributes:
        condition: the labels it is trained under.
        variant: which of the system's models or stages (`audio`, `audio_text`, `text_stage2`); empty where
            there is one.
        fold: name of the fold, or of the test corpus whose classes the head has.
        seed: of weights, order and dropout.
    """

    condition: str
    variant: str
    fold: str
    seed: int

    @property
    def name(self) -> str:
        """A relative path, unique in a run."""
        parts = (self.condition.replace("/", "_"), self.variant, self.fold, f"seed{self.seed}")
        return "/".join(part for part in parts if part)


@dataclass(frozen=True)
class Setup:
    """What a system gets to work with.

    Attributes:
        options: what the user asked for.
        material: what is trained on.
        tests: what else is tested on.
        training: preset and user's wishes together.
        settings: the system's own options (its `INFO.settings` dataclass), likewise.
        speech, text: names of the encoders to use; None where the system needs none.
        desk: gives encoders and cached features.
        added: what else has rows of training parts, for the baselines' sake; see `System`.
    """

    options: EvaluationOptions
    material: Material
    tests: Mapping[str, Material]
    training: TrainingOptions
    settings: Any
    speech: str | None
    text: str | None
    desk: Desk
    added: tuple[Material, ...] = ()


class Desk(Protocol):
    """Encoders and their features, made once in a run; see `recipes.evaluation.desk`."""

    device: str

    def encoder(
        self, name: str, kind: str, *, layers: int | None = None, max_seconds: float | None = None
    ) -> Any:
        """An encoder (`evaluation.encoders.Encoder`); kind is `speech` or `text`."""
        ...

    def features(
        self,
        name: str,
        kind: str,
        examples: Sequence[Example],
        sounds: SoundSource | None,
        *,
        kept: str = "all",
        pooled: str | None = None,
        max_seconds: float | None = None,
    ) -> Features:
        """The cached features of examples, encoded where they are not yet.

        Args:
            kept: `all` layers or the `last` one.
            pooled: None for all steps; `mean` or `mean_std` over them (one step).
            max_seconds: of sound; what is longer is cut off. None for all of it.
        """
        ...


@dataclass(frozen=True)
class Analysis:
    """What a system shows besides the table of scores.

    Attributes:
        name: of its files in `RUN/analyses/`.
        title: a sentence.
        data: what is written as JSON; lists of flat dicts become a table in the report.
        figure: an SVG or PNG that was written, relative to the run folder; None for none.
        notes: what to know when reading it.
    """

    name: str
    title: str
    data: Any
    figure: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SystemInfo:
    """What a system is.

    Attributes:
        name: as in `--system`, with underscores.
        title: one line.
        paper: the citation in one line.
        task: `classification` or `regression`.
        metric: the paper's main score (`uar`, `weighted_f1`, `ccc`).
        needs: of `speech`, `text`: what every row must have.
        settings: the dataclass of its own options; each field's metadata may have `choices` and `help`.
        default_labels: conditions trained under where the user names none and the source has them.
    """

    name: str
    title: str
    paper: str
    task: str
    metric: str
    needs: tuple[str, ...]
    settings: type
    default_labels: tuple[str, ...] = (OLD, NEW)


class System(Protocol):
    """A module of `systems`.

    It may also have `splits(trial, setup) -> Mapping[str, evaluation.protocols.Split]`: by the name of a test
    set of the trial's predictions, the rows that are trained, validated and tested on, under their labels.
    Baselines are then trained and tested on the same rows. And `needs(settings) -> tuple[str, ...]`, where
    what rows must have depends on its options. And `added(setup) -> Sequence[Material]`: materials whose rows
    its splits add to training parts.
    """

    INFO: SystemInfo

    def trials(self, setup: Setup) -> Sequence[Trial]:
        """What is to be trained, in order.

        Raises:
            InputError: the material does not suit the system.
        """
        ...

    def execute(self, trial: Trial, setup: Setup, folder: Path, reporter: Reporter) -> Sequence[Predictions]:
        """Trains and tests; called again with the same folder after an interruption.

        Args:
            folder: the trial's own, for checkpoints and curves.
        """
        ...

    def analyse(
        self, setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path
    ) -> Sequence[Analysis]:
        """What the system shows besides scores; figures go into `folder`."""
        ...
