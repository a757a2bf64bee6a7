"""Annotators: who can answer a request. One module each, found by the `SCHEME` it declares.

An annotator's specification is its scheme and, after `/` or `:`, what the scheme needs:
`openai/gpt-4o-2024-08-06`, `local/smollm2`, `mock:invalid=0.1`, `replay:train=labels.csv`.
A new annotator is one module here with a `SCHEME` and a function
`create(spec: str, options: AnnotatorOptions) -> Annotator`; it imports heavy packages inside functions,
because all annotator modules are read to find the one that is asked for. `FORM` says how a specification
looks, `FORMATS` which answer formats it takes (see `base.USUAL_FORMATS`). `IN_PROCESS = True` says that the
model is loaded into this computer's memory, so that several of them are asked one after the other.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from types import ModuleType

from ..errors import InputError, bad_value
from ..protocols import Annotator
from .base import USUAL_FORMATS, AnnotatorOptions

__all__ = ["AnnotatorOptions", "create", "in_process", "scheme", "schemes"]

_SPEC = re.compile(r"(?P<scheme>[^/:]*)(?:[/:](?P<rest>.*))?", re.DOTALL)


def schemes() -> Mapping[str, ModuleType]:
    """The annotator modules by scheme, in alphabetical order.

    >>> "mock" in schemes() and "openai" in schemes()
    True
    """
    found: dict[str, ModuleType] = {}
    for name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        scheme = getattr(module, "SCHEME", None)
        if scheme is not None:
            found[scheme] = module
    return dict(sorted(found.items()))


def create(spec: str, options: AnnotatorOptions) -> Annotator:
    """The annotator that a specification names; it is not yet started.

    Args:
        spec: such as `openai/gpt-4o-2024-08-06`; kept as the annotator's name.
        options: for all schemes; each reads the fields that concern it.

    Raises:
        InputError: the scheme is unknown (the message lists the choices), or the rest is not what the
            scheme needs.
    """
    name, known = scheme(spec), schemes()
    if name not in known:
        raise InputError(bad_value("annotator", spec, [_form(s) for s in known]))
    formats = getattr(known[name], "FORMATS", USUAL_FORMATS)
    if options.answer_format not in formats:
        raise InputError(bad_value(f"answer format of {_form(name)}", options.answer_format, formats))
    build: Callable[[str, AnnotatorOptions], Annotator] = known[name].create
    return build(spec.strip(), options)


def scheme(spec: str) -> str:
    """What stands before the first `/` or `:` of a specification.

    >>> scheme("openai/gpt-4o"), scheme("mock:invalid=0.1"), scheme("mock")
    ('openai', 'mock', 'mock')
    """
    match = _SPEC.fullmatch(spec.strip())
    return match["scheme"] if match else spec


def in_process(spec: str) -> bool:
    """Whether the annotator loads its model into this computer's memory.

    >>> in_process("local/smollm2"), in_process("openai/gpt-4o")
    (True, False)
    """
    return bool(getattr(schemes().get(scheme(spec)), "IN_PROCESS", False))


def _form(name: str) -> str:
    """How a specification of this scheme looks, as its module says it."""
    return str(getattr(schemes()[name], "FORM", name))
