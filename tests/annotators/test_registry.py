"""Annotators are found by what their modules declare."""

from __future__ import annotations

import subprocess
import sys

import pytest

from remelt import annotators
from remelt.annotators import AnnotatorOptions, create, schemes
from remelt.errors import InputError
from remelt.protocols import Annotator


def test_every_scheme_has_a_form_that_begins_with_it() -> None:
    found = schemes()
    assert {"mock", "openai", "replay"} <= set(found)
    for scheme, module in found.items():
        assert module.FORM.startswith(scheme)
        assert callable(module.create)


@pytest.mark.parametrize(
    "spec", ["mock", "mock:invalid=0.1", "openai/gpt-4o", "openai:org/model:7b", " mock "]
)
def test_created_by_scheme(spec: str) -> None:
    annotator = create(spec, AnnotatorOptions(base_url="http://localhost:1/v1"))
    assert isinstance(annotator, Annotator)
    assert annotator.name == spec.strip()


@pytest.mark.parametrize("spec", ["", "gpt-4o", "Mock", "/mock", "opena/gpt-4o"])
def test_an_unknown_scheme_names_the_choices(spec: str) -> None:
    with pytest.raises(
        InputError, match=r"Bad annotator .*expected one of \[.*'mock\[.*'openai/MODEL'.*'replay:"
    ):
        create(spec, AnnotatorOptions())


def test_a_module_dropped_in_is_found(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    code = "from remelt.annotators.mock import create\nSCHEME = FORM = 'echo'\n"
    (tmp_path / "echo_dropped_in.py").write_text(code)
    monkeypatch.setattr(annotators, "__path__", [*annotators.__path__, str(tmp_path)])
    assert create("echo", AnnotatorOptions()).name == "echo"


def test_finding_annotators_loads_nothing_heavy() -> None:
    code = (
        "import sys, remelt.annotators as a; a.schemes();"
        "print([m for m in ('openai', 'httpx2', 'aiohttp', 'pyarrow', 'yaml', 'ftfy', 'xllamacpp',"
        " 'huggingface_hub', 'jsonschema', 'torch', 'transformers', 'llguidance') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer_format": "xml"}, r"Bad answer format 'xml', expected one of \['auto'"),
        ({"timeout": 0}, "Bad timeout"),
        ({"timeout": float("nan")}, "Bad timeout"),
        ({"concurrency": 0}, "Bad concurrency 0"),
        ({"slots": 0}, "Bad slots 0"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AnnotatorOptions(**options)  # type: ignore[arg-type]
