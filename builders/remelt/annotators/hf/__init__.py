"""A transformers model inside this process: it writes constrained answers, or scores the labels.

With `--answer-format scoring` nothing is written: the model says how likely it finds each label as the
answer (`labels`).
"""

from __future__ import annotations

from dataclasses import replace

from ..base import AnnotatorOptions, AnswerFormat
from . import models, runtime
from .base import InProcess
from .labels import LabelScorer
from .text import TextWriter

SCHEME = "hf"
FORM = "hf/HUB_ID, hf/FOLDER"
IN_PROCESS = True
FORMATS: tuple[AnswerFormat, ...] = ("auto", "grammar", "prefill", "prompt", "scoring", "scoring-plain")


def create(spec: str, options: AnnotatorOptions) -> InProcess:
    """The annotator for `hf/HUB_ID`, `hf/FOLDER` or `hf/PATH.gguf`.

    The model is found, downloaded where it is missing, and hashed here and not by `start`, because the model
    id in every request's key contains its version.

    Raises:
        InputError: a package or the model is missing, or there is no such device.
    """
    versions = models.versions()
    options = replace(options, device=runtime.device(options.device))
    file = models.resolve(spec[len(SCHEME) + 1 :])
    if options.answer_format in ("scoring", "scoring-plain"):
        return LabelScorer(file, options, versions)
    return TextWriter(file, options, versions)
