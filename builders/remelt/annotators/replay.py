"""Answers from earlier replies: a published dataset, a journal, or the label file of a relabelling.

`replay:FILE_OR_FOLDER`, `replay:train=FILE,test=FILE`, or `replay:hf://OWNER/NAME` for a dataset on the Hub.
Nothing is asked of any model; a published relabelling is rebuilt and audited from what was published.
Large sources are not held in memory (`replay_index`); their answers and notices are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, RequestRejected
from ..protocols import Annotator
from ..records import Message, Reply, Request, Utterance, digest
from . import known_models, replay_sources
from .base import AnnotatorOptions
from .replay_compare import Difference, Differences, Unused, names_of
from .replay_sources import Source

SCHEME = "replay"
FORM = "replay:FILE_OR_FOLDER"

_HUB = "hf://"
_NOT_A_WORD = re.compile(r"[\W_]+")
_PART = re.compile(r"(?P<split>[\w-]+)=(?P<path>.+)")


def create(spec: str, options: AnnotatorOptions) -> Annotator:
    """The annotator for `replay:...`; its files are read at once.

    Raises:
        InputError: a file is missing, cannot be read, or lacks what is needed; a split has no file.
    """
    return Replay(spec, _sources(spec[len(SCHEME) + 1 :].strip(), options))


def _sources(text: str, options: AnnotatorOptions) -> dict[str | None, Source]:
    if not text:
        raise InputError(f"Bad annotator 'replay', expected {FORM} or replay:train=FILE,test=FILE")
    parts = [_PART.fullmatch(part.strip()) for part in text.split(",")]
    if not Path(text).exists() and parts[0] is not None:
        files: dict[str | None, Source] = {}
        for part in parts:
            if part is None or part["split"] in files:
                raise InputError(f"Bad replay files {text!r}, expected train=FILE,test=FILE")
            path = _local(part["path"])
            files[part["split"]] = replay_sources.load(path, part["split"], options.column, options.workspace)
        missing = [s for s in options.splits if s not in files]
        if missing:
            raise InputError(
                f"{text!r} names no file for the splits {missing!r}; add them or build fewer splits"
            )
        return files
    split = options.splits[0] if len(options.splits) == 1 else None
    return {None: replay_sources.load(_local(text), split, options.column, options.workspace)}


def _local(name: str) -> Path:
    """The path of a source; a dataset on the Hub is fetched, its replies and manifest only."""
    if not name.startswith(_HUB):
        return Path(name).expanduser()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    repository = name.removeprefix(_HUB).removeprefix("datasets/").rstrip("/")
    try:
        folder = snapshot_download(
            repository, repo_type="dataset", allow_patterns=["annotations/*.parquet", "manifest.json"]
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise InputError(f"Cannot fetch the dataset {repository!r} from the Hub: {error}") from error
    return Path(folder)


class Replay:
    """Gives each request the reply that was given before.

    Args:
        name: as given on the command line.
        sources: by split; None for the one source of all splits.

    Attributes:
        schema_hint: `label` where the replies hold nothing but a label (use `schemas/label.json`), else None.
        prompt_hint: the prompt behind the replies, where the source knows it.
        turns: how many replies an utterance has at most; that many must be allowed for to give all again.
        retires: when the replayed model is or was switched off, where it is known.
    """

    immediate = True

    def __init__(self, name: str, sources: Mapping[str | None, Source]) -> None:
        self.name, self._sources = name, sources
        kinds = {source.kind for source in sources.values()}
        if len(kinds) > 1:
            raise InputError(
                f"{name!r} mixes label files with whole replies; replay them one after the other"
            )
        self.schema_hint = "label" if kinds == {"label"} else None
        prompts = {source.prompt for source in sources.values()}
        self.prompt_hint = prompts.pop() if len(prompts) == 1 else None
        self.turns = max(source.turns for source in sources.values())
        models = dict.fromkeys(model for source in sources.values() for model in source.models)
        self.model = "+".join(filter(None, models)) or "replay"
        known = known_models.find(self.model)
        self.retires = known.retires if known else None
        hashes = {str(split): source.sha256 for split, source in sources.items()}
        self.endpoint = next(iter(hashes.values())) if len(hashes) == 1 else digest(hashes)
        self.notices = [notice for source in sources.values() for notice in source.notices]
        self._different: dict[str, Difference] = {}
        large = any(source.index for source in sources.values())
        self._stored = Differences(sources.values()) if large else None

    async def start(self) -> None:
        """Everything was read when the annotator was made."""

    async def close(self) -> None:
        """There is nothing to let go of: what was found stays to be told."""

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """The earlier reply to this utterance and turn; see `protocols.Annotator.answer`."""
        utterance = request.utterance
        source, key = self._find(utterance)
        if source is None or key is None:
            raise RequestRejected(
                f"no reply for {utterance.id} in {source.path.name if source else self.name}"
            )
        self.compare((utterance,))
        replies = [r for r in source.replies[key] if r.attempt == attempt]
        if not replies:
            raise RequestRejected(f"no reply to turn {attempt + 1} for {utterance.id} in {source.path.name}")
        return replace(replies[0], request_key=request.key, utterance_id=utterance.id)

    def _find(self, utterance: Utterance) -> tuple[Source | None, str | None]:
        source = self._sources.get(utterance.split, self._sources.get(None))
        if source is None:
            return None, None
        return source, next((k for k in names_of(utterance.id) if k in source.replies), None)

    # -- what the corpus and the source do not have in common ---------------------------------------

    def unused(self, asked: Iterable[str]) -> Sequence[str]:
        """The source's ids that none of the asked ids stands for, in the source's order."""
        if self._stored is not None:
            return Unused(self._sources.values(), asked)
        used = {key for identity in asked for key in names_of(identity)}
        return [key for s in self._sources.values() for key in s.replies if key not in used]

    def compare(self, utterances: Iterable[Utterance]) -> None:
        """Adds to `differences`; replies taken from a journal were compared in an earlier run only."""
        for utterance in utterances:
            source, key = self._find(utterance)
            if source is None or key is None or key not in source.spoken:
                continue
            speaker, text = source.spoken[key]
            found = [
                (field, theirs, ours[0])
                for field, theirs, ours in (
                    ("text", text, (utterance.text, utterance.words)),
                    ("speaker", speaker, (utterance.speaker,)),
                )
                if theirs is not None and not _same(theirs, ours)
            ]
            if found:
                fields, theirs, ours = zip(*found, strict=True)
                difference = Difference(utterance.id, fields, theirs, ours)
                if self._stored is not None:
                    self._stored.add(difference)
                else:
                    self._different[utterance.id] = difference

    @property
    def differences(self) -> Sequence[Difference]:
        """Rows whose text or speaker is not the corpus's, in the source's order."""
        if self._stored is not None:
            return self._stored
        place = {key: n for n, key in enumerate(k for s in self._sources.values() for k in s.replies)}
        return sorted(
            self._different.values(),
            key=lambda d: min(place.get(key, len(place)) for key in names_of(d.id)),
        )

    @property
    def summary(self) -> str:
        """What is replayed, in one line."""
        files = ", ".join(
            f"{source.path}{f' ({split})' if split else ''}" for split, source in self._sources.items()
        )
        count = sum(len(source.replies) for source in self._sources.values())
        return f"{count:,} utterances with {'labels' if self.schema_hint else 'replies'} from {files}"


def _same(theirs: str, ours: tuple[str, ...]) -> bool:
    """Whether two texts have the same letters and digits; broken encoding is mended before giving up."""
    wanted = {_letters(text) for text in ours}
    if _letters(theirs) in wanted:
        return True
    import ftfy

    return _letters(ftfy.fix_text(theirs)) in wanted


def _letters(text: str) -> str:
    return _NOT_A_WORD.sub("", text).casefold()
