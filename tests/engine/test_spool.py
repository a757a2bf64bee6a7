from __future__ import annotations

from pathlib import Path

import pytest

from remelt.engine.spool import Spool
from remelt.errors import Interrupted

from ..builders import request


def test_requests_come_back_as_they_were(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    asked = [request(n) for n in range(50)]
    assert [spool.add(r) for r in asked] == list(range(50))
    for number in (49, 0, 7, 7):
        found = spool.get(number)
        assert found == asked[number]
        assert found.schema is asked[number].schema
        assert (found.key, found.schema_hash) == (asked[number].key, asked[number].schema_hash)
    assert spool.add(request(50)) == 50
    assert spool.get(3) == asked[3]
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_the_schema_is_stored_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    long = {"type": "object", "description": "x" * 100_000}
    for number in range(10):
        spool.add(request(number, schema=long))
    assert spool._ends[-1] < 20_000
    spool.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="Cannot write to"):
        Spool(tmp_path / "none")
