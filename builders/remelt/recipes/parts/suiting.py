"""Which builds can be done in parts, and which are without being asked to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...errors import InputError
from .options import AUTOMATIC, PartOptions

if TYPE_CHECKING:
    from ...corpora import Corpus
    from ...selection import SelectionOptions
    from ..building import RecipeSpec
    from ..options import BuildOptions
    from ..reporting import Reporter


class NeedsAllRows(InputError):
    """A build that cannot be done in parts.

    Args:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"This build cannot be done in parts: {reason}")
        self.reason = reason


# The rules that decide each row by its own votes, and tell nothing that cannot be added up.
RULES = ("first", "majority", "plurality", "soft", "weighted")


def parts_of(spec: RecipeSpec, options: BuildOptions, reporter: Reporter) -> PartOptions | None:
    """How the build is to be done in parts; None where it is done in memory.

    It is where that was asked for, and where a table has so many rows that memory may not hold them.

    Raises:
        InputError: it was asked for, and cannot be.
    """
    asked = options.parts
    if asked is None and not _large(options):
        return None
    if asked is not None and asked.engine == "ray":
        from ..cluster.executor import refuse

        refuse(options)
    reasons = list(hindrances(spec, options))
    if asked is not None:
        if reasons:
            raise NeedsAllRows("; ".join(reasons))
        return asked
    if reasons:
        tell_memory("; ".join(reasons), reporter)
        return None
    reporter.notice(
        f"The corpus has more than {AUTOMATIC:,} rows and is built in parts, so that memory does not grow "
        "with it (see docs/scale.md)"
    )
    return PartOptions()


def tell_memory(reason: str, reporter: Reporter) -> None:
    """Says that a large corpus is held in memory, and why."""
    reporter.notice(
        f"More than {AUTOMATIC:,} rows are held in memory, because the build cannot be done in parts: "
        f"{reason}"
    )


def _large(options: BuildOptions) -> bool:
    from ...corpora.store import most_rows, suits

    arguments = (options.corpus, options.mapping)
    return suits(*arguments, options.corpus_name) and most_rows(*arguments) > AUTOMATIC


def hindrances(spec: RecipeSpec, options: BuildOptions) -> Iterator[str]:
    """Why a build needs all rows at once, as far as its options tell; nothing where it does not."""
    from ...annotators import scheme
    from ...corpora.store import suits
    from ..exchange.additions import members_of
    from ..listening.voices import CHOOSE, NONE, VoiceOptions
    from ..panel.content import asked_rule

    if spec.prepare is not None or spec.content is not None:
        yield f"the recipe {spec.name!r} looks at all rows together"
    if not suits(options.corpus, options.mapping, options.corpus_name):
        yield f"{options.corpus} is no table, and other corpora are read as a whole"
    rule = options.resolution or asked_rule(options.out) or spec.resolution
    if rule is not None and rule.rule not in RULES:
        yield f"the rule {rule.rule!r} needs the votes on all rows at once (others: {', '.join(RULES)})"
    if any(scheme(member.annotator) == "openai-batch" for member in options.members):
        yield "the Batch API is given all rows together"
    if options.allow_missing:
        yield "--allow-missing counts what is missing over all rows"
    voice = options.voice
    heard = {voice.audio, voice.acoustics} - {CHOOSE, NONE} or voice.transcripts is not None
    if heard or (voice.functionals, voice.pitch_by, voice.bins_from) != _usual(VoiceOptions()):
        yield "sound is measured and compared over all clips"
    if members_of(options.out):
        yield f"{options.out} has annotations that were added to it"


def _usual(voice: object) -> tuple[object, ...]:
    return tuple(getattr(voice, name) for name in ("functionals", "pitch_by", "bins_from"))


def check_corpus(
    options: BuildOptions, selection: SelectionOptions, corpus: Corpus, rows: Mapping[str, int]
) -> None:
    """Refuses what only the corpus tells.

    Args:
        options: the build's.
        selection: the options of the selection.
        corpus: with the counts of all its rows.
        rows: split -> how many.

    Raises:
        NeedsAllRows: it cannot be built in parts.
    """
    from ..listening.voices import NONE

    if selection.duration_from == "clip" or selection.min_clip_duration:
        raise NeedsAllRows(f"the profile {selection.name!r} measures the clips")
    missing, voice = corpus.defects.get("clip_missing"), options.voice
    clips = missing is not None and sum(missing.values()) < sum(rows.values())
    if clips and (voice.audio, voice.acoustics) != (NONE, NONE):
        raise NeedsAllRows("the corpus has clips; --audio none --acoustics none leaves them out")
