"""The arguments about Ray of the commands that listen to clips."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from remelt.cli import app
from remelt.cli.parts_arguments import ray_options
from remelt.errors import InputError
from remelt.recipes.parts.options import PartOptions

SAID = r"workers 2 has no effect with the local engine"


def test_who_listens() -> None:
    assert ray_options() is None
    assert ray_options("ray", 3, "10.0.0.5:6379") == PartOptions(None, "ray", 3, "10.0.0.5:6379")
    assert ray_options("ray") == PartOptions(engine="ray")
    with pytest.raises(InputError, match=SAID):
        ray_options("local", 2)
    with pytest.raises(InputError, match=r"Bad engine 'spark', expected one of \['local', 'ray'\]"):
        ray_options("spark")


@pytest.mark.parametrize("command", [["transcribe", "--asr", "openai-asr/tiny"], ["voice"]])
def test_both_commands_take_them(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [*command, "sample", "--out", str(out), "--workers", "2"])
    assert isinstance(done.exception, InputError)
    assert "no effect with the local engine" in str(done.exception)
    assert not out.exists()
