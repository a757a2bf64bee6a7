import json
from pathlib import Path

from remelt.recipes.melt import MeltOptions, build
from remelt.recipes.rebuild import rebuild
from remelt.recipes.workspace import workspace


def findings(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "audit" / "findings.json").read_text(encoding="utf-8"))
    return found


def test_what_the_run_did_is_in_manifest_and_findings(tmp_path: Path) -> None:
    options = MeltOptions(corpus="sample", out=tmp_path / "out", annotator="mock:invalid=0.2", limit=12)
    first = build(options)
    run = first.manifest["run"]
    assert run == first.stats.as_dict()
    assert run["rows"] == run["done"] == 12
    assert run["requests"] == run["replies"] >= 12
    assert findings(first.out)["run"] == run
    # A run that finds everything in the journal has nothing better to tell.
    again = build(options)
    assert again.stats.asked == 0
    assert again.manifest["run"] == run
    copy = rebuild(first.out, tmp_path / "copy")
    assert copy.manifest["run"] == run
    assert findings(copy.out) == findings(first.out)


def test_a_folder_from_before_the_run_was_kept(tmp_path: Path) -> None:
    options = MeltOptions(corpus="sample", out=tmp_path / "out", annotator="mock", limit=5)
    build(options)
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["run"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    copy = rebuild(tmp_path / "out", tmp_path / "copy")
    assert "run" not in copy.manifest
    assert findings(copy.out)["run"] is None
    with workspace(tmp_path / "copy", "melt", "sample") as journal:
        assert journal.count() == 5
