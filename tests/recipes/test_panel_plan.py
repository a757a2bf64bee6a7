"""The plan of several annotators: the sum of what each would be asked alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remelt.annotators import AnnotatorOptions
from remelt.engine import EngineOptions
from remelt.recipes.melt import MeltOptions, plan
from remelt.recipes.options import Member
from remelt.recipes.planning import BuildPlan

from ..builders import write_meld
from ..panels import FailingServer, members, run
from ..servers import ChatServer

GPT, MINI = Member("openai/gpt-4o", "gpt"), Member("openai-batch/gpt-4o-mini", "mini", max_tokens=100)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_encodings: None) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return write_meld(tmp_path / "corpus", 30)


def planned(corpus: Path, out: Path, *annotators: Member | str, **changes: Any) -> BuildPlan:
    options: dict[str, Any] = {"splits": ("train",), "profile": "clean", **changes}
    return plan(MeltOptions(str(corpus), out, annotators, **options), show=2)


def test_the_figures_add_up(corpus: Path, tmp_path: Path) -> None:
    both = planned(corpus, tmp_path / "out", GPT, MINI, "mock")
    alone = [planned(corpus, tmp_path / "out", one) for one in (GPT, MINI, "mock")]
    assert [m.annotator for m in both.members] == ["gpt", "mini", "mock"]
    assert [m.tokens for m in both.members] == [one.tokens for one in alone]
    assert both.tokens.input == sum(one.tokens.input for one in alone)
    assert both.tokens.output_most == sum(one.tokens.output_most or 0 for one in alone) > 0
    gpt, mini, free = alone
    assert gpt.price is not None
    assert mini.batch_price is not None
    assert free.price is None
    # Each pays in the way it is asked: one online, one in batches.
    assert both.price is not None
    assert both.price.most == pytest.approx((gpt.price.most or 0) + (mini.batch_price.most or 0))
    assert (both.rows, both.rows_left, both.rows_now, both.answered) == (30, 90, 90, 0)
    # What all get alike is shown once.
    assert [shown.annotators for shown in both.prompts] == [("gpt", "mini", "mock")] * 2
    other = planned(corpus, tmp_path / "out", "mock", Member("mock:seed=2", "label", prompt="melt-label"))
    assert [shown.annotators for shown in other.prompts] == [("mock",)] * 2 + [("label",)] * 2
    assert gpt.prompts[0].annotators == ()
    assert not (tmp_path / "out").exists()


def test_the_json_has_the_keys_of_one_and_a_plan_for_each(corpus: Path, tmp_path: Path) -> None:
    one = json.loads(json.dumps(planned(corpus, tmp_path / "out", GPT).as_dict()))
    both = json.loads(json.dumps(planned(corpus, tmp_path / "out", GPT, MINI).as_dict()))
    assert one["members"] == []
    assert both.keys() == one.keys()
    assert [m.keys() for m in both["members"]] == [one.keys(), one.keys()]
    assert both["members"][0] == {**one, "annotator": "gpt"}


def test_an_unknown_price_makes_the_sum_unknown(corpus: Path, tmp_path: Path) -> None:
    both = planned(corpus, tmp_path / "out", GPT, Member("openai/mine", "mine"))
    assert both.price is None
    assert not both.free
    assert any(note.startswith("mine: no price is known for 'mine'") for note in both.notes)


def test_a_budget_is_compared_with_the_sum(corpus: Path, tmp_path: Path) -> None:
    each = [planned(corpus, tmp_path / "out", one).price for one in (GPT, MINI)]
    expected = [price.expected or 0.0 for price in each if price]
    # Enough for each alone, and not for both.
    engine = EngineOptions(budget=max(expected) * 1.01)
    online = Member("openai/gpt-4o-mini", "mini", max_tokens=100)
    alone = planned(corpus, tmp_path / "out", GPT, engine=engine)
    both = planned(corpus, tmp_path / "out", GPT, online, engine=engine)
    assert not any("budget" in note for note in alone.notes)
    assert any("is for all annotators together and ends the run early" in note for note in both.notes)


def test_what_is_answered_counts_for_each(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ChatServer(seed=1) as a, FailingServer(10, 401, seed=2) as b:
        panel = members(a=a, b=b)
        with pytest.raises(Exception, match="1 of 2 annotators are done"):
            run(corpus, out, panel)
        connection = AnnotatorOptions(timeout=120.0)
        found = planned(corpus, out, *panel, connection=connection)
        assert [(m.answered, m.rows_left) for m in found.members] == [(30, 0), (10, 20)]
        assert (found.answered, found.rows_left) == (40, 20)
        asked = len(a.asked) + len(b.asked)
        planned(corpus, out, *panel, connection=connection)
        assert len(a.asked) + len(b.asked) == asked
