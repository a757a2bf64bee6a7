"""All that a recipe hands over to be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, bad_value
from ..labels import LabelSet
from ..records import Annotation, Drop, Utterance
from .layout import check_splits, split_of
from .panel import STAGES, UNRESOLVED, PanelContent, Row, kept_rows
from .voice import VoiceContent


@dataclass(frozen=True, slots=True)
class DatasetContent:
    """The rows of a build and what to say about them.

    Attributes:
        recipe: name of the recipe (`melt`).
        corpus: name, licence, homepage, citation (BibTeX) and files (path -> sha256); optionally title and
            language (`en`, or a list of ISO 639 codes) for the card.
        splits: those asked for, in order; each gets its files, also where it has no rows.
        inputs: utterances per split that came from the corpus, before any rule.
        annotations: one per utterance that was asked about, in corpus order, valid or not; with several
            annotators one for each of them, in their order.
        drops: every other utterance, every quarantined one (stage `annotation`), and every one whose votes
            come to no label (stage `resolution`).
        label_set: what the annotator chose from.
        schema, schema_name: the answer's JSON Schema and what its file is called.
        annotator: name, model, endpoint, parameters, retires (ISO date or None), notices; optionally caveat.
            Not used where there is a panel, whose first member stands in its place.
        prompt: name, version, source, sha256 and text; None where no prompt was used.
        profile: name and options of the selection.
        attrition: one record per split and rule: rule, split, alone, in_order, left.
        options: everything else that was set.
        notes: sentences for the reader of the card.
        run: what the annotation run did (`engine.Stats.as_dict`); None where there was none.
        created: UTC time in ISO 8601; empty for now.
        voice: what was heard in the clips, and the clips; None for a dataset of words alone.
        panel: the annotators and what their votes came to, where several annotated; None for a single one.
        resplit: whether rows stand in other splits than the corpus's. An id keeps the corpus's split
            (`msp_podcast/test1/...`), and `Utterance.split`, `splits` and `inputs` are the published ones.
    """

    recipe: str
    corpus: Mapping[str, Any]
    splits: Sequence[str]
    inputs: Mapping[str, int]
    annotations: Sequence[Annotation]
    drops: Sequence[Drop]
    label_set: LabelSet
    schema: Mapping[str, Any]
    schema_name: str
    annotator: Mapping[str, Any]
    prompt: Mapping[str, Any] | None = None
    profile: Mapping[str, Any] = field(default_factory=lambda: {"name": "", "options": {}})
    attrition: Sequence[object] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    run: Mapping[str, Any] | None = None
    created: str = ""
    voice: VoiceContent | None = None
    panel: PanelContent | None = None
    resplit: bool = False

    def utterances(self) -> list[Utterance]:
        """Every utterance of the build, as often as it was annotated or dropped."""
        return [a.utterance for a in self.annotations] + [drop.utterance for drop in self.drops]

    def ordered_drops(self, split: str) -> list[Drop]:
        """One split's drops: those of the selection in the order given, the quarantined, the unresolved ones.

        A rebuild has them in this order and must not write another one.
        """
        mine = [drop for drop in self.drops if drop.utterance.split == split]
        return sorted(mine, key=lambda drop: STAGES.index(drop.stage))

    def kept(self) -> list[Row]:
        """The rows that reach the default config, in corpus order."""
        return kept_rows(self.annotations, self.panel.resolutions if self.panel else None)

    def check(self) -> None:
        """Refuses rows that would be lost, doubled or put in the wrong place.

        Raises:
            InputError: an id twice, an id or split that does not fit, or a quarantine that does not match
                the replies; the message names up to five ids.
        """
        check_splits(self.splits)
        if self.voice is not None:
            self.voice.check()
        dropped = [drop.utterance.id for drop in self.drops]
        _unique("dropped", dropped)
        for row in self.utterances():
            if row.split not in self.splits:
                raise InputError(f"{row.id}: {bad_value('split', row.split, self.splits)}")
            split = split_of(row.id) if self.resplit else row.split
            if not split or not row.id.startswith(f"{row.corpus}/{split}/"):
                raise InputError(f"Bad id {row.id!r}, expected {row.corpus}/{split or 'SPLIT'}/...")
        if self.panel is not None:
            self.panel.check(self.annotations, self.drops, self.label_set.labels)
            return
        answered = [a.utterance.id for a in self.annotations]
        _unique("annotated", answered)
        valid = {a.utterance.id for a in self.annotations if a.verdict.status == "valid"}
        quarantined = {drop.utterance.id for drop in self.drops if drop.stage == "annotation"}
        _none("unresolved without votes", {d.utterance.id for d in self.drops if d.stage == UNRESOLVED})
        _none("kept and dropped", valid & set(dropped))
        _none("without a valid reply and not quarantined", set(answered) - valid - quarantined)
        _none("dropped by the selection and yet annotated", (set(answered) & set(dropped)) - quarantined)


def _unique(what: str, ids: Sequence[str]) -> None:
    _none(f"{what} more than once", {name for name, count in Counter(ids).items() if count > 1})


def _none(what: str, ids: set[str]) -> None:
    if ids:
        raise InputError(f"{len(ids)} utterances are {what}: {', '.join(sorted(ids)[:5])}")
