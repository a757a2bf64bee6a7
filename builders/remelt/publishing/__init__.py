"""Publishing: from records to the dataset folder, and back from a published folder to records."""

from .card import write_card
from .content import DatasetContent
from .folder import check_replies, publish, seal
from .manifest import read_manifest
from .problem import Problem
from .reading import read_annotations, read_dropped, read_voice
from .sharing import Sharing, shareable, sharing_of
from .sounds import PublishedAudio
from .verify import find_problems
from .voice import VoiceContent

__all__ = [
    "DatasetContent",
    "Problem",
    "PublishedAudio",
    "Sharing",
    "VoiceContent",
    "check_replies",
    "find_problems",
    "publish",
    "read_annotations",
    "read_dropped",
    "read_manifest",
    "read_voice",
    "seal",
    "shareable",
    "sharing_of",
    "write_card",
]
