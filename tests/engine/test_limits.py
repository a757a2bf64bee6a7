import random

import pytest

from remelt.engine.limits import Allowance, Rate


def sent_in(rate: Rate, seconds: float, late: float = 0.0, amount: float = 1.0) -> list[float]:
    """The times at which one goes out who always has more to send, and always wakes up late."""
    now, times = 0.0, []
    while now < seconds:
        if (wait := rate.wait(now)) > 0:
            now += wait + late
            continue
        rate.take(amount)
        times.append(now)
    return times


@pytest.mark.parametrize("per_minute", [1, 60, 500, 30_000])
def test_no_minute_holds_more_and_each_nearly_as_many(per_minute: int) -> None:
    times = sent_in(Rate(per_minute), 180)
    for start in (0.0, 17.3, 61.0, 119.9):
        inside = sum(start <= t < start + 60 for t in times)
        assert 0.99 * per_minute - 1 <= inside <= per_minute + 1


def test_waking_up_late_costs_nothing() -> None:
    assert len(sent_in(Rate(6_000), 60, late=0.02)) > 5_900


def test_idle_time_is_not_saved_up() -> None:
    rate = Rate(600)
    rate.wait(0.0)
    burst = 0
    while rate.wait(1_000.0) <= 0:
        rate.take(1)
        burst += 1
    assert burst <= 4


def test_what_was_not_used_is_given_back() -> None:
    rate = Rate(60_000)
    rate.take(5_000)
    assert rate.wait(0.0) == pytest.approx(5, rel=0.01)
    rate.take(1_000 - 5_000)
    assert rate.wait(0.0) == pytest.approx(1, rel=0.01)


def test_nothing_told_nothing_held_back() -> None:
    allowance = Allowance(600)
    assert allowance.wait(10**9, 0.0) == 0
    allowance.told(500, None, None, 0, 0.0)
    assert allowance.wait(10**9, 0.0) == 0


def test_a_refilling_bucket_is_used_as_it_fills() -> None:
    allowance = Allowance(600)
    allowance.told(600, 1, 59.9, 0, 100.0)
    assert allowance.wait(1, 100.0) == 0
    allowance.take(1)
    assert allowance.wait(1, 100.0) == pytest.approx(0.1)
    assert allowance.wait(1, 100.05) == pytest.approx(0.05)
    assert allowance.wait(1, 100.11) == 0


def test_a_window_is_waited_for() -> None:
    allowance = Allowance(600)
    allowance.told(600, 590, 40, 0, 100.0)
    allowance.told(600, 0, 39, 0, 101.0)
    assert allowance.wait(1, 101.0) == pytest.approx(39)
    assert allowance.wait(1, 139.0) == pytest.approx(1)
    assert allowance.wait(1, 140.0) == 0
    for _ in range(590):
        assert allowance.wait(1, 140.0) == 0
        allowance.take(1)


def test_no_more_is_expected_at_once_than_was_ever_told() -> None:
    allowance = Allowance(600)
    allowance.told(600, 20, 2, 0, 100.0)
    allowance.told(600, 0, 2, 0, 101.0)
    assert allowance.wait(1, 103.0) == 0
    for _ in range(20):
        assert allowance.wait(1, 103.0) == 0
        allowance.take(1)
    assert allowance._left == 0


def test_what_the_server_had_not_seen_counts() -> None:
    allowance = Allowance(600)
    allowance.told(None, 5, 10, 3, 0.0)
    assert [allowance.wait(1, 0.0), allowance.wait(3, 0.0)] == [0, 10]


def test_a_request_larger_than_the_limit_goes_when_all_is_there() -> None:
    allowance = Allowance(600)
    allowance.told(1_000, 900, 6, 0, 0.0)
    assert allowance.wait(5_000, 0.0) == pytest.approx(6)


def test_a_limit_by_the_day_is_left_to_the_refusals() -> None:
    allowance = Allowance(600)
    allowance.told(200, 0, 86_400, 0, 0.0)
    assert allowance.wait(1, 0.0) == 0


@pytest.mark.parametrize("windowed", [False, True])
def test_a_server_that_tells_its_limits_refuses_next_to_nothing(windowed: bool) -> None:
    """300 a minute at a server of either kind, whose answers come late and out of order."""
    limit, allowance, dice = 300, Allowance(600), random.Random(1)
    left, last, window, refused, served = float(limit), 0.0, 0.0, 0, 0
    coming: list[tuple[float, float, float, int]] = []
    sent, now = 0, 0.0
    while now < 240:
        now += 0.01
        for answer in [a for a in coming if a[0] <= now]:
            coming.remove(answer)
            allowance.told(limit, answer[1], answer[2], sent - answer[3], now)
        while len(coming) < 32 and allowance.wait(1, now) <= 0:
            allowance.take(1)
            sent += 1
            if windowed:
                if now - window >= 60:
                    window, left = now - now % 60, float(limit)
                reset = window + 60 - now
            else:
                left = min(limit, left + (now - last) * limit / 60)
                last = now
            if left >= 1:
                left -= 1
                served += 1
            else:
                refused += 1
            if not windowed:
                reset = (limit - left) * 60 / limit
            coming.append((now + dice.uniform(0.05, 0.5), left // 1, reset, sent))
    assert refused <= 5
    assert served >= 0.9 * (limit * 4 + (0 if windowed else limit))
