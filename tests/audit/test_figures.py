"""The figures: same bytes twice, valid XML, nothing cut off, no labels on top of each other."""

from __future__ import annotations

import io
import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from remelt.audit import figures
from remelt.audit.dataset import read_table
from remelt.audit.findings import Scope, find
from remelt.audit.options import AuditOptions

ODD = [
    "$\\frac{a}{b}$",
    "a very long label name that goes on",
    "</text><script>",
    "\u202eevil\u202c",
    "joy\x01",
    "غضب",
]


def scope_of(path: Path, labels: Sequence[str], speakers: Sequence[str]) -> Scope:
    rows = [
        f'"{x}","{y}","{s}"'
        for (x, y), s in zip(itertools.product(labels, repeat=2), itertools.cycle(speakers))
    ]
    path.write_text("label,original_label,speaker\n" + "\n".join(rows * 2), encoding="utf-8")
    return find(read_table(path), None, AuditOptions(), path.parent).overall


Drawing = dict[str, tuple[Figure, dict[str, bytes]]]


def draw(scope: Scope) -> Drawing:
    found = {
        "matrix": figures.matrix_figure(scope, "original_label", "label"),
        "distribution": figures.distribution_figure(scope, "original_label", "label"),
        "speakers": figures.speaker_figure(scope),
    }
    return {
        name: (figure, figures.figure_bytes(figure)) for name, figure in found.items() if figure is not None
    }


@pytest.fixture(scope="module", params=["two", "usual", "odd", "many"])
def drawing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawing:
    labels = {
        "two": ["no", "yes"],
        "usual": ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"],
        "odd": ODD,
        "many": [f"label number {i}" for i in range(22)],
    }[request.param]
    speakers = ["Ross", *ODD]
    if request.param == "many":
        speakers = [f"Somebody with a long name {i}" for i in range(40)]
    return draw(scope_of(tmp_path_factory.mktemp("t") / "t.csv", labels, speakers))


def test_valid_xml_without_scripts_and_dates(drawing: Drawing) -> None:
    assert list(drawing) == ["matrix", "distribution", "speakers"]
    for _, files in drawing.values():
        root = ElementTree.fromstring(files["svg"])
        assert root.tag.endswith("svg")
        assert b"<script" not in files["svg"]
        assert b"dc:date" not in files["svg"]


def test_nothing_is_cut_off(drawing: Drawing) -> None:
    for name, (_, files) in drawing.items():
        pixels = imread(io.BytesIO(files["png"]))[:, :, :3]
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert (edge == 1).all(), name
        assert (pixels < 0.5).any(), name


def test_labels_do_not_overlap(drawing: Drawing) -> None:
    for name, (figure, _) in drawing.items():
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        axes = figure.axes[0]
        boxes = [t.get_window_extent(renderer) for t in axes.get_yticklabels()]
        for above, below in itertools.pairwise(sorted(boxes, key=lambda b: -b.y0)):
            assert above.y0 >= below.y1 - 1, name
        inside = [t.get_window_extent(renderer) for t in axes.texts]
        for one, two in itertools.combinations(inside, 2):
            apart = one.x0 >= two.x1 or two.x0 >= one.x1 or one.y0 >= two.y1 or two.y0 >= one.y1
            assert apart, name


def test_same_numbers_same_bytes(tmp_path: Path) -> None:
    scope = scope_of(tmp_path / "t.csv", ODD, ODD)
    first, second = draw(scope), draw(scope)
    assert {n: files for n, (_, files) in first.items()} == {n: files for n, (_, files) in second.items()}


def test_the_matrix_shows_counts_and_row_percentages(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,original_label\na,a\nb,a\nb,a\nb,b\n", encoding="utf-8")
    scope = find(read_table(tmp_path / "t.csv"), None, AuditOptions(), tmp_path).overall
    texts = [t.get_text() for t in figures.matrix_figure(scope, "x", "y").axes[0].texts]
    assert texts == ["1", "33 %", "2", "67 %", "0", "0 %", "1", "100 %"]


def test_no_speakers_no_figure(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,original_label\na,a\n", encoding="utf-8")
    scope = find(read_table(tmp_path / "t.csv"), None, AuditOptions(), tmp_path).overall
    assert figures.speaker_figure(scope) is None
