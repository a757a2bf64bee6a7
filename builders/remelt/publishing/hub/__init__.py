"""Datasets at the Hugging Face Hub: what is there, what a new version changes, and the upload."""

from .checks import card_checks, front_matter_of, hub_problems, hub_warnings
from .comparing import FileChange, compare, files_to_publish, is_published, left_here, origin, same_origin
from .remote import MAIN, Hub, RemoteFile, RemoteState

__all__ = [
    "MAIN",
    "FileChange",
    "Hub",
    "RemoteFile",
    "RemoteState",
    "card_checks",
    "compare",
    "files_to_publish",
    "front_matter_of",
    "hub_problems",
    "hub_warnings",
    "is_published",
    "left_here",
    "origin",
    "same_origin",
]
