from collections.abc import Iterator
from pathlib import Path

import pytest

from remelt.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "j.sqlite") as journal:
        yield journal
