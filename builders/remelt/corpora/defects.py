"""The defects that readers look for, each with its name, and their counts per split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .base import Draft

Family = Literal[
    "times", "turns", "numbering", "text", "encoding", "labels", "speakers", "repeats", "splits", "media"
]


@dataclass(frozen=True, slots=True)
class Defect:
    """A kind of defect.

    Attributes:
        name: as it stands in `Utterance.flags` and in counts.
        family: defects that are looked for together.
        says: what it means, with its limits.
        level: `row` ones are flags of utterances and counted in rows; `split` ones are only counted.
    """

    name: str
    family: Family
    says: str
    level: Literal["row", "split"] = "row"


_ALL = (
    Defect("time_missing", "times", "start or end is empty"),
    Defect("time_unreadable", "times", "start or end is not a time"),
    Defect("short_hour", "times", "start is written H:MM:SS,mmm instead of HH:MM:SS,mmm"),
    Defect("short_decimals", "times", "start or end has one or two decimals, read as a fraction"),
    Defect("zero_duration", "times", "end equals start"),
    Defect("negative_duration", "times", "end before start"),
    Defect("under_100ms", "times", "longer than zero, under 0.1 s"),
    Defect("under_500ms", "times", "under 0.5 s, zero included"),
    Defect("under_1s", "times", "under 1 s, zero included"),
    Defect("over_15s", "times", "over 15 s"),
    Defect("over_30s", "times", "over 30 s: wrongly cut, as a rule"),
    Defect("over_6_words_per_s", "times", "more than 6 words per second; words in no time included"),
    Defect("over_8_words_per_s", "times", "more than 8 words per second: text longer than the clip"),
    Defect("starts_before_previous_ends", "turns", "starts before the previous turn of the dialogue ends"),
    Defect("starts_1s_before_previous_ends", "turns", "starts over 1 s before the previous turn ends"),
    Defect("out_of_order", "turns", "starts before the previous turn starts"),
    Defect("same_interval_as_previous", "turns", "start and end equal the previous turn's"),
    Defect("over_60s_after_previous", "turns", "starts over 60 s after the previous turn ends"),
    Defect("after_missing_turn", "numbering", "the utterance number before this one is missing"),
    Defect("repeated_serial", "numbering", "the corpus's running number already belongs to an earlier row"),
    Defect("missing_turns", "numbering", "utterance numbers left out", "split"),
    Defect("dialogues_with_missing_turns", "numbering", "dialogues that have such gaps", "split"),
    Defect("missing_dialogues", "numbering", "dialogue numbers left out", "split"),
    Defect("empty_text", "text", "no words"),
    Defect("one_word", "text", "one word"),
    Defect("two_words", "text", "two words"),
    Defect("no_letters", "text", "words without a letter"),
    Defect("stage_direction", "text", "brackets: a stage direction, often cut"),
    Defect("leading_punctuation", "text", "begins with . : ; , - or a dash: the rest of a longer line"),
    Defect("unbalanced_quotes", "text", "an odd number of straight double quotes"),
    Defect("line_break", "text", "a line break in the text"),
    Defect("non_ascii", "text", "characters beyond ASCII, curly quotes included"),
    Defect("not_utf8", "encoding", "bytes that are not UTF-8, read as cp1252"),
    Defect("cp1252_controls", "encoding", "U+0080 to U+009F where cp1252 has quotes and dashes; mended"),
    Defect("mojibake", "encoding", "UTF-8 read as another encoding, such as â€™, €™, Ã©; mended"),
    Defect("nul_character", "encoding", "NUL; removed in the mended text"),
    Defect("control_character", "encoding", "other control characters; removed in the mended text"),
    Defect("unpaired_surrogate", "encoding", "half a surrogate pair; U+FFFD in the mended text"),
    Defect("replacement_character", "encoding", "U+FFFD: a character was lost before; cannot be mended"),
    Defect("speaker_mended", "encoding", "the speaker's name was broken in the same ways; mended"),
    Defect("label_missing", "labels", "no emotion label"),
    Defect("label_unknown", "labels", "an emotion label that the corpus does not have"),
    Defect("sentiment_unknown", "labels", "a sentiment that the corpus does not have, or none"),
    Defect("sentiment_mismatch", "labels", "a sentiment that does not go with the emotion"),
    Defect("episode_unreadable", "labels", "season or episode is not a whole number"),
    Defect("speaker_missing", "speakers", "no speaker"),
    Defect("several_speakers", "speakers", "several speakers in one name: All, Both, 'X and Y', 'X/Y'"),
    Defect("speaker_variant", "speakers", "the name seems to have another spelling elsewhere in the corpus"),
    Defect("speaker_non_ascii", "speakers", "characters beyond ASCII in the name"),
    Defect("speaker_lower_case", "speakers", "a name without a capital letter, perhaps cut"),
    Defect("same_line_twice", "repeats", "episode, start and words equal another row's"),
    Defect("same_line_other_label", "repeats", "the same, with different emotions"),
    Defect("same_text_other_label", "repeats", "the same words elsewhere have another emotion"),
    Defect("same_text_other_label_3_words", "repeats", "the same, of three words or more"),
    Defect("overlaps_earlier_split", "splits", "over 0.5 s in common with a row of an earlier split"),
    Defect("episodes_in_train", "splits", "episodes that train has too", "split"),
    Defect("clip_missing", "media", "the split has clips, but not this one"),
    Defect("clip_unreadable", "media", "the clip is empty or not what its name says"),
    Defect("clip_truncated", "media", "the clip ends before the length that its header states"),
    Defect("cut_past_end", "media", "the utterance ends over 0.1 s after the recording it is cut from"),
    Defect("extra_clips", "media", "clips of utterances that the label file does not have", "split"),
)

DEFECTS: Mapping[str, Defect] = {defect.name: defect for defect in _ALL}


def tally(
    drafts: Iterable[Draft],
    families: Iterable[Family],
    splits: Sequence[str],
    extra: Mapping[str, Mapping[str, int]],
) -> dict[str, dict[str, int]]:
    """Counts per split of every defect that was looked for, in the order of `DEFECTS`, zeros included.

    Args:
        drafts: the checked rows.
        families: what was looked for.
        splits: the splits to count.
        extra: the counts of the defects that are not flags.
    """
    return tally_flags(
        Counter((flag, draft.split) for draft in drafts for flag in draft.flags), families, splits, extra
    )


def tally_flags(
    counted: Counter[tuple[str, str]],
    families: Iterable[Family],
    splits: Sequence[str],
    extra: Mapping[str, Mapping[str, int]],
) -> dict[str, dict[str, int]]:
    """The same from the counts of each flag and split."""
    looked_for = frozenset(families)
    counts: dict[str, dict[str, int]] = {}
    for name, defect in DEFECTS.items():
        if defect.family not in looked_for:
            continue
        if defect.level == "row":
            counts[name] = {split: counted[name, split] for split in splits}
        elif name in extra:
            counts[name] = {split: extra[name].get(split, 0) for split in splits}
    return counts
