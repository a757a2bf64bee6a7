"""What Feng & Narayanan (2023) print: table 4 and table 6, and where the paper contradicts itself.

Both tables have the UAR (per cent) of speech-emotion models that were trained on pseudo-labels and tested on
human ones. They say how useful the labels were, not how many of them are right, and so stand beside our
numbers and are not compared with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "Feng & Narayanan 2023"
MEANING = "UAR in % of emotion models trained on these labels and tested on human ones, not label accuracy"
CORPORA: Mapping[str, str] = {
    "iemocap": "IEMOCAP",
    "meld": "MELD",
    "msp_improv": "MSP-Improv",
    "msp_podcast": "MSP-Podcast",
}
COLUMNS = (
    "Flan-T5 XXL", "LLaMa2-7B", "LLaMa2-13B", "Falcon-7B", "Falcon-40B", "vote", "vote + human",
)  # fmt: skip
# Words by Whisper; the vote is that of Flan-T5 XXL, LLaMa2-13B and Falcon-40B.
TABLE_4: Mapping[str, tuple[float | None, ...]] = {
    "iemocap": (49.60, 43.87, 46.29, 43.68, 51.16, 51.60, 60.19),
    "meld": (36.73, 43.87, 43.85, 46.96, 47.62, 53.90, None),
    "msp_improv": (44.97, 38.12, 41.68, 37.71, 44.87, 46.05, 50.06),
    "msp_podcast": (51.20, 47.23, 48.12, 43.25, 48.11, 52.59, 53.54),
}
# Corpus -> row -> UAR with the corpus's own words and with Whisper's.
TABLE_6: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "iemocap": {"vote": (50.36, 51.60), "vote + human": (59.08, 60.19)},
    "meld": {"vote": (55.69, 53.90)},
}
# Table 2: utterances of each class.
COUNTS: Mapping[str, Mapping[str, int]] = {
    "iemocap": {"neutral": 1708, "joy": 1636, "sadness": 1084, "anger": 1103},
    "meld": {"neutral": 6436, "joy": 2308, "sadness": 1002, "anger": 1607},
    "msp_improv": {"neutral": 3477, "joy": 2644, "sadness": 885, "anger": 792},
    "msp_podcast": {"neutral": 20986, "joy": 12060, "sadness": 2166, "anger": 2712},
}
# What is to be known of them; under no corpus what holds for all.
REMARKS: Mapping[str, tuple[str, ...]] = {
    "": (
        'The text calls the gain of the vote over the best single model "1-2 %"; the table gives +0.44 '
        "(IEMOCAP), +6.28 (MELD), +1.08 (MSP-Improv) and +1.39 (MSP-Podcast).",
        "The text calls Falcon-40B the best single model; in the table that holds for IEMOCAP and MELD, and "
        "Flan-T5 XXL is the best on MSP-Improv and MSP-Podcast.",
        "LLaMa2-7B has 43.87 on IEMOCAP and on MELD; one of them may be a slip of the pen.",
    ),
    "meld": (
        "Table 2 prints 9,045 utterances for MELD; its four classes add up to 11,353, as in MELD's three "
        "files. 9,045 is the sum without the 2,308 happy ones.",
        "MELD publishes no individual ratings, so there is no check by a human.",
    ),
}


@dataclass(frozen=True, slots=True)
class Printed:
    """What the paper prints of one corpus.

    Attributes:
        table_4: column -> UAR in %, for the columns that have one.
        table_6: row -> UAR in % with the corpus's own words and with Whisper's.
        counts: class -> utterances (table 2).
    """

    corpus: str
    table_4: Mapping[str, float]
    table_6: Mapping[str, tuple[float, float]]
    counts: Mapping[str, int]
    remarks: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        return {
            "source": SOURCE,
            "meaning": MEANING,
            "table_4": dict(self.table_4),
            "table_6": {row: {"reference": a, "asr": b} for row, (a, b) in self.table_6.items()},
            "table_2": dict(self.counts),
            "remarks": list(self.remarks),
        }


def printed(corpus: str) -> Printed | None:
    """What the paper prints of a corpus (`iemocap`, `meld`, `msp_improv`, `msp_podcast`), else None."""
    if corpus not in TABLE_4:
        return None
    values = zip(COLUMNS, TABLE_4[corpus], strict=True)
    return Printed(
        CORPORA[corpus],
        {column: value for column, value in values if value is not None},
        TABLE_6.get(corpus, {}),
        COUNTS[corpus],
        (*REMARKS[""], *REMARKS.get(corpus, ())),
    )
