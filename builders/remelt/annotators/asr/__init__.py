"""Speech recognisers: who can transcribe a clip. One module each, found by the `ASR_SCHEME` it declares.

A recogniser is an annotator (`protocols.Annotator`) whose requests name a clip and whose replies are
transcripts. Its specification is its scheme and the model: `whisper/large-v2`, `faster-whisper/tiny.en`,
`mms/1b-all`, `openai-asr/whisper-1`. The schemes are apart from those of the label annotators.

A new recogniser is one module here with `ASR_SCHEME`, `FORM` (how a specification looks), `TAKES` (the names
of the options it heeds, of those that not all do) and
`create(spec: str, options: AsrOptions, load: LoadAudio) -> Recogniser`. It imports heavy packages inside
functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import ModuleType

from ...errors import InputError, bad_value
from ...protocols import LoadAudio
from .base import SHARED, AsrOptions, Recogniser

__all__ = ["AsrOptions", "Recogniser", "create", "schemes"]


def schemes() -> Mapping[str, ModuleType]:
    """The recogniser modules by scheme, in alphabetical order.

    >>> list(schemes())
    ['faster-whisper', 'mms', 'openai-asr', 'whisper']
    """
    found: dict[str, ModuleType] = {}
    for name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        scheme = getattr(module, "ASR_SCHEME", None)
        if scheme is not None:
            found[scheme] = module
    return dict(sorted(found.items()))


def create(spec: str, options: AsrOptions, load: LoadAudio) -> Recogniser:
    """The recogniser that a specification names; it is not yet started.

    The model is found, downloaded where it is missing, and hashed here and not by `start`, because the model
    id in every request's key contains its version.

    Args:
        spec: such as `whisper/large-v2`; kept as the recogniser's name.
        options: for all schemes.
        load: the sound of an utterance, float32 mono at 16 kHz. Raises an InputError with an attribute
            `flag` for a clip that cannot be decoded.

    Raises:
        InputError: the scheme is unknown (the message lists the choices), no such model, a package is
            missing, or an option is set that has no effect on this recogniser.
    """
    spec = spec.strip()
    scheme, _, rest = spec.partition("/")
    known = schemes()
    if scheme not in known or not rest.strip():
        raise InputError(bad_value("recogniser", spec, [module.FORM for module in known.values()]))
    _check_taken(spec, known[scheme], options)
    build: Callable[[str, AsrOptions, LoadAudio], Recogniser] = known[scheme].create
    return build(spec, options, load)


def _check_taken(spec: str, module: ModuleType, options: AsrOptions) -> None:
    """Refuses what would silently do nothing."""
    for option in fields(AsrOptions):
        if option.name in SHARED or option.name in module.TAKES:
            continue
        value = getattr(options, option.name)
        if value != option.default:
            takers = [name for name, other in schemes().items() if option.name in other.TAKES]
            raise InputError(
                f"Bad {option.name.replace('_', ' ')} {value!r}: it has no effect on {spec!r}, only on "
                f"{takers!r}"
            )
