"""The charging power of simulated algorithms over time: as rows for a CSV, and as a picture.

Guarantees
* Power is the mean over steps of the same length, so that the area under it is the energy.
* The picture is SVG text and nothing else: no fonts, scripts or addresses from elsewhere.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Final

from forecourt.sim.ideal import PERIOD_S, Course

_COLOURS: Final = ("#8a8a8a", "#c77c02", "#1f6f8b", "#7a5195", "#2f9e44", "#d6336c", "#5c7cfa", "#000000")
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 1200, 420, 60, 40, 40
_MOST_POINTS: Final = 1500


def mean_power_w(course: Course, step_s: float = PERIOD_S) -> list[float]:
    """Watts in each step from the start on."""
    found: list[float] = []
    for interval in course.intervals:
        at_s = interval.from_s
        while at_s < interval.to_s - 1e-9:
            step = int(at_s // step_s)
            until_s = min(interval.to_s, (step + 1) * step_s)
            found.extend([0.0] * (step + 1 - len(found)))
            found[step] += interval.power_w * (until_s - at_s) / step_s
            at_s = until_s
    return found


def power_over_time(courses: Mapping[str, Course], start: datetime) -> Iterator[list[str]]:
    """A header, then a row for each five minutes: the time (UTC) and the watts of each algorithm."""
    yield ["time", *(f"{name} W" for name in courses)]
    powers = [mean_power_w(course) for course in courses.values()]
    for step in range(max(map(len, powers), default=0)):
        time = (start + timedelta(seconds=step * PERIOD_S)).isoformat(sep=" ")
        yield [time, *(f"{power[step] if step < len(power) else 0.0:.1f}" for power in powers)]


def power_picture(courses: Mapping[str, Course], start: datetime) -> str:
    """An SVG of the power over time, a line for each algorithm."""
    length_s = max((course.intervals[-1].to_s for course in courses.values() if course.intervals), default=PERIOD_S)
    step_s = PERIOD_S * max(1, math.ceil(length_s / PERIOD_S / _MOST_POINTS))
    powers = {name: mean_power_w(course, step_s) for name, course in courses.items()}
    top_kw = max((max(power, default=0.0) for power in powers.values()), default=0.0) / 1000.0 or 1.0
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for mark in range(5):
        y = _y(top_kw * mark / 4.0, top_kw)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - 10}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top_kw * mark / 4.0:.0f} kW</text>')
    for mark in range(7):
        x = _LEFT + (_WIDTH - 10 - _LEFT) * mark / 6.0
        day = (start + timedelta(seconds=length_s * mark / 6.0)).strftime("%d %b %H:%M")
        anchor = "start" if mark == 0 else "end" if mark == 6 else "middle"
        parts.append(f'<text x="{x:.0f}" y="{_HEIGHT - 16}" text-anchor="{anchor}">{day}</text>')
    for index, (name, power) in enumerate(powers.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        points = " ".join(
            f"{_LEFT + (_WIDTH - 10 - _LEFT) * step * step_s / length_s:.1f},{_y(watts / 1000.0, top_kw):.1f}"
            for step, watts in enumerate(power)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        parts.append(f'<text x="{_LEFT + 10 + 150 * index}" y="24" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _y(power_kw: float, top_kw: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * power_kw / top_kw
