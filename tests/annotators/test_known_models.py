"""Prices and sizes: the list that comes with remelt, and a file of one's own."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import pytest
import tiktoken.model

from remelt.annotators import AnnotatorOptions, create, known_models
from remelt.annotators.known_models import KnownModel, find, read_models
from remelt.errors import InputError

OWN = "models:\n  - {ids: [mine, gpt-4o], input: 1, output: 2, context: 4096, encoding: cl100k_base}\n"


def write(folder: Path, text: str, name: str = "prices.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_list_is_whole() -> None:
    models = known_models.known_models()
    assert {"gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3", "gpt-5-mini", "gpt-6-luna"} <= set(models)
    for model in models.values():
        assert 0 < model.cached_input <= model.input <= model.output
        assert model.batch_input == pytest.approx(model.input / 2)
        assert model.batch_output == pytest.approx(model.output / 2)
        assert model.context is not None
        assert model.most_output is not None
        assert model.most_output < model.context
        datetime.date.fromisoformat(model.checked)
        if model.encoding is not None:
            assert model.encoding == tiktoken.model.encoding_name_for_model(model.id)
    assert not models["gpt-4o"].reasoning
    assert models["o3"].reasoning


def test_costs_by_hand() -> None:
    model = KnownModel("m", 2.0, 8.0, 0.5, batch_input=1.0, batch_output=4.0)
    assert model.cost(1000, 100) == pytest.approx(0.0028)
    assert model.cost(1000, 100, 400) == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 8) / 1e6)
    assert model.cost(1000, 100, 400, batch=True) == pytest.approx(0.0014)
    assert KnownModel("m", 2.0, 8.0, 0.5).cost(1000, 100, batch=True) == pytest.approx(0.0028)
    assert model.most(1000, 100) == pytest.approx(0.0028)
    assert KnownModel("m", 2.0, 8.0, 3.0).most(1000, 0) == pytest.approx(0.003)


def test_what_is_written_to_the_cache_has_its_price() -> None:
    model = KnownModel("m", 2.0, 8.0, 0.2, cache_write=2.5, batch_input=1.0, batch_output=4.0)
    assert model.cost(1000, 0) == pytest.approx(0.002)
    assert model.cost(2000, 0) == pytest.approx(0.005)
    assert model.cost(2000, 0, 1500) == pytest.approx((500 * 2.5 + 1500 * 0.2) / 1e6)
    assert model.cost(2000, 0, batch=True) == pytest.approx(0.0025)


def test_a_file_goes_before_the_list(tmp_path: Path) -> None:
    path = write(tmp_path, "checked: 2026-01-02\n" + OWN)
    mine = find("mine", path)
    assert mine == KnownModel(
        "mine", 1.0, 2.0, 1.0, context=4096, encoding="cl100k_base", checked="2026-01-02"
    )
    assert find("gpt-4o", path).input == 1.0  # type: ignore[union-attr]
    assert find("gpt-4o-mini", path) == find("gpt-4o-mini")
    assert find("nobody", path) is None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML is read from Python 3.11 on")
def test_toml_has_the_same_form(tmp_path: Path) -> None:
    text = (
        "checked = 2026-01-02\n[[models]]\nids = ['mine', 'gpt-4o']\ninput = 1\noutput = 2\ncontext = 4096\n"
        "encoding = 'cl100k_base'\n"
    )
    toml = read_models(write(tmp_path, text, "prices.toml"))
    assert toml == read_models(write(tmp_path, "checked: 2026-01-02\n" + OWN))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: 3\n", "Bad models, expected a list"),
        ("- 1\n", "Bad models, expected a list"),
        ("models: []\nprices: 1\n", "Bad key 'prices', expected one of ['checked', 'models', 'sources']"),
        ("checked: soon\nmodels: []\n", "checked: Bad date 'soon'"),
        ("models: [3]\n", "entry 1: Bad model 3"),
        ("models: [{input: 1, output: 2}]\n", "entry 1: Bad ids None"),
        ("models: [{ids: [a], output: 2}]\n", "entry 1 (a): the field 'input' is missing"),
        ("models: [{ids: [a], input: -1, output: 2}]\n", "entry 1 (a): input: Bad price -1"),
        ("models: [{ids: [a], input: .nan, output: 2}]\n", "entry 1 (a): input: Bad price nan"),
        ("models: [{ids: [a], input: true, output: 2}]\n", "input: Bad price True"),
        ("models: [{ids: [a], input: 1, output: 2, batch_input: 1}]\n", "batch_output come together"),
        ("models: [{ids: [a], input: 1, output: 2, contxt: 1}]\n", "Bad field 'contxt', expected one of"),
        ("models: [{ids: [a], input: 1, output: 2, context: 0}]\n", "context: Bad number of tokens 0"),
        ("models: [{ids: [a], input: 1, output: 2, reasoning: 'no way'}]\n", "reasoning: Bad value 'no way'"),
        ("models: [{ids: [a], input: 1, output: 2, encoding: o300k}]\n", "encoding: Bad encoding 'o300k'"),
        ("models: [{ids: [a, a], input: 1, output: 2}]\n", "model 'a' stands there twice"),
        ("models: [\n", "cannot be read"),
    ],
)
def test_a_bad_file_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        find("a", path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_no_prices_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read the prices file"):
        find("a", tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"Bad prices file ending '\.csv'"):
        find("a", write(tmp_path, "", "prices.csv"))


def test_a_server_of_ones_own_may_cost_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "models: [{ids: [gpt-4o], input: 0, output: 0}]\n")
    model = find("gpt-4o", path)
    assert model is not None
    assert model.cost(5000, 5000, 100) == model.most(5000, 5000) == 0.0


def test_annotators_read_the_file_when_they_are_made(tmp_path: Path) -> None:
    path = write(tmp_path, "models: [{ids: [m], input: 1, output: 2, bad: 3}]\n")
    with pytest.raises(InputError, match="Bad field 'bad'"):
        create("openai/m", AnnotatorOptions(prices=path))
