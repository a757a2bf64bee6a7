"""Who is trained on and who is tested on: folds, splits, leak checks, cross-corpus classes, augmentation."""

from .base import PROMISES, Split
from .checks import check_labels, check_leaks, check_targets
from .classes import augmented, classes_of, intersection
from .folds import alqurashi_si, by_session, by_speaker, merits_iemocap, standard
from .shares import dialogue_shares, speaker_dependent, speaker_shares

__all__ = [
    "PROMISES",
    "Split",
    "alqurashi_si",
    "augmented",
    "by_session",
    "by_speaker",
    "check_labels",
    "check_leaks",
    "check_targets",
    "classes_of",
    "dialogue_shares",
    "intersection",
    "merits_iemocap",
    "speaker_dependent",
    "speaker_shares",
    "standard",
]
