import pytest

from remelt.engine.window import Window


def rounds_until(window: Window, size: int) -> int:
    """Rounds (as many answers as the window holds) until it has this size."""
    rounds = 0
    while window.size < size:
        for _ in range(window.size):
            window.answered()
        rounds += 1
        assert rounds < 1_000
    return rounds


def test_it_starts_at_the_ceiling_and_stays_there() -> None:
    window = Window(1, 64)
    assert rounds_until(window, 64) == 0
    window.answered()
    assert window.size == 64


def test_it_shrinks_by_a_share_and_grows_by_a_sum() -> None:
    window = Window(1, 64)
    sizes = []
    for _ in range(3):
        window.shrink()
        sizes.append(window.size)
    assert sizes == [44, 31, 21]
    # A sixteenth of the ceiling per round.
    assert 9 <= rounds_until(window, 64) <= 12


@pytest.mark.parametrize(("least", "most"), [(1, 8), (6, 64), (16, 8)])
def test_it_stays_between_floor_and_ceiling(least: int, most: int) -> None:
    window = Window(least, most)
    for _ in range(30):
        window.shrink()
    assert window.size == min(least, most)
    window.collapse()
    assert window.size == min(least, most)
    rounds_until(window, most)
    assert window.size == most


def test_after_a_collapse_it_doubles_up_to_what_went_well() -> None:
    window = Window(1, 64)
    window.shrink()
    window.collapse()
    assert window.size == 1
    assert rounds_until(window, 44) == 6


def test_only_runs_of_failures_shrink_it() -> None:
    window = Window(1, 16)
    for _ in range(50):
        for _ in range(3):
            window.failed()
        window.answered()
    assert window.size == 16
    for _ in range(8):
        window.failed()
    assert window.size == 11
    for _ in range(200):
        window.failed()
    assert window.size == 1
