from pathlib import Path

import pytest

import remelt


def test_every_public_name_is_there_and_no_other() -> None:
    for name in remelt.__all__:
        assert getattr(remelt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        remelt.nothing  # noqa: B018


def test_the_main_job_from_python(tmp_path: Path) -> None:
    options = remelt.MeltOptions("sample", tmp_path / "out", "mock", limit=12, splits=("train",))
    result = remelt.build_melt(options)
    assert result.rows == 12
    findings = remelt.audit_dataset(result.out)
    assert findings.as_dict()["splits"]
    assert not remelt.find_problems(result.out)
    again = remelt.rebuild(result.out, tmp_path / "again")
    assert again.rows == 12
    assert remelt.find_problems(again.out) == []
