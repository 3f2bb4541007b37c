"""Curves: closed forms against sums of small steps, and roots that are where they say."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from forecourt.hardware.curve import Curve, crossing, smallest_root

CURVES = st.one_of(
    st.builds(Curve, st.floats(0, 1e5), st.floats(0, 80), slope_a_per_s=st.floats(-20, 20)),
    st.builds(Curve, st.floats(0, 1e5), st.floats(0, 80), decay_per_s=st.floats(1e-6, 2)),
)


@given(CURVES, st.floats(0, 600), st.floats(0, 600))
def test_charge_is_the_integral_of_the_current(curve: Curve, begin_s: float, span_s: float) -> None:
    from_s = curve.start_s + begin_s
    steps = 400
    step_s = span_s / steps
    middles = (curve.at(from_s + (k + 0.5) * step_s) for k in range(steps))
    summed = sum(middles) * step_s
    # The midpoint rule is off by at most h²/24 times the span times the largest second derivative.
    bend = curve.decay_per_s**2 * curve.at(from_s) * step_s**2 * span_s / 24.0
    assert curve.charge_as(from_s, from_s + span_s) == pytest.approx(summed, rel=1e-7, abs=bend * 1.01 + 1e-6)


@given(CURVES, st.floats(0, 300), st.floats(0, 300), st.floats(0, 300))
def test_charges_add_up(curve: Curve, begin_s: float, first_s: float, second_s: float) -> None:
    one = curve.start_s + begin_s
    two = one + first_s
    three = two + second_s
    assert curve.charge_as(one, two) + curve.charge_as(two, three) == pytest.approx(
        curve.charge_as(one, three), rel=1e-9, abs=1e-5
    )


@given(CURVES, st.floats(0.1, 100))
def test_rate_is_the_slope(curve: Curve, since_s: float) -> None:
    at_s = curve.start_s + since_s
    difference = (curve.at(at_s + 1e-3) - curve.at(at_s - 1e-3)) / 2e-3
    assert curve.rate(at_s) == pytest.approx(difference, rel=1e-4, abs=1e-4)


NUMBERS = st.one_of(st.just(0.0), st.floats(1e-9, 100.0), st.floats(-100.0, -1e-9))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_the_smallest_root_is_one_and_nothing_changes_sign_before_it(a: float, b: float, c: float) -> None:
    root = smallest_root(a, b, c)
    size = abs(a) + abs(b) + abs(c)
    if math.isfinite(root):
        assert root > 0
        scale = max(abs(a) * root * root, abs(b) * root, abs(c), 1e-300)
        assert abs(a * root * root + b * root + c) <= 1e-6 * scale
    ends = min(root, 50.0)
    values = [a * t * t + b * t + c for t in (ends * k / 20 for k in range(1, 20))]
    significant = [value for value in values if abs(value) > 1e-9 * size * max(1.0, ends * ends)]
    assert all(value > 0 for value in significant) or all(value < 0 for value in significant)


def test_a_root_close_to_zero_keeps_its_digits() -> None:
    assert smallest_root(1.0, -1e8, 1.0) == pytest.approx(1e-8, rel=1e-12)


@pytest.mark.parametrize(("a", "b", "c"), [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 2, 1), (0, 0, 0)])
def test_no_positive_root(a: float, b: float, c: float) -> None:
    assert smallest_root(a, b, c) == math.inf


def test_a_crossing_is_found_to_the_last_bit() -> None:
    assert crossing(lambda t: t * t - 2.0, 0.0, 2.0) == pytest.approx(math.sqrt(2.0), abs=4e-16)
    assert crossing(lambda t: 1.0 - t, 0.0, 3.0) == pytest.approx(1.0, abs=4e-16)
