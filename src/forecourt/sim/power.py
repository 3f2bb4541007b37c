"""The charging power of simulated algorithms over time: as rows for a CSV, and as pictures.

Guarantees
* Power is the mean over steps of the same length, so that the area under it is the energy.
* The pictures are SVG text and nothing else (no fonts, scripts or addresses from elsewhere), or the same as a PNG.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Final, NamedTuple

from forecourt.sim.ideal import PERIOD_S, Course
from forecourt.sim.raster import Anchor, Raster

_COLOURS: Final = ("#8a8a8a", "#c77c02", "#1f6f8b", "#7a5195", "#2f9e44", "#d6336c", "#5c7cfa", "#000000")
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 1200, 420, 60, 40, 40
_MOST_POINTS: Final = 1500
_INK: Final = "#000000"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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


class _Chart(NamedTuple):
    """What is drawn, in pixels."""

    lines: list[tuple[list[tuple[float, float]], str]]
    """Points and colour."""
    texts: list[tuple[float, float, str, str, Anchor]]
    """Where its baseline is, text, colour, and which part of it is there."""


def power_picture(courses: Mapping[str, Course], start: datetime) -> str:
    """An SVG of the power over time, a line for each algorithm."""
    chart = _chart(courses, start)
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for line, colour in chart.lines:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    for x, y, text, colour, anchor in chart.texts:
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def power_image(courses: Mapping[str, Course], start: datetime) -> bytes:
    """The same as a PNG."""
    chart = _chart(courses, start)
    raster = Raster(_WIDTH, _HEIGHT)
    for line, colour in chart.lines:
        raster.line(line, colour)
    for x, y, text, colour, anchor in chart.texts:
        raster.text(x, y, text, colour, anchor)
    return raster.png()


def _chart(courses: Mapping[str, Course], start: datetime) -> _Chart:
    length_s = max((course.intervals[-1].to_s for course in courses.values() if course.intervals), default=PERIOD_S)
    step_s = PERIOD_S * max(1, math.ceil(length_s / PERIOD_S / _MOST_POINTS))
    powers = {name: mean_power_w(course, step_s) for name, course in courses.items()}
    top_kw = max((max(power, default=0.0) for power in powers.values()), default=0.0) / 1000.0 or 1.0
    chart = _Chart([], [])
    for mark in range(5):
        y = _y(top_kw * mark / 4.0, top_kw)
        chart.lines.append(([(_LEFT, y), (_WIDTH - 10, y)], "#dddddd"))
        chart.texts.append((_LEFT - 6, y + 4, f"{top_kw * mark / 4.0:.0f} kW", _INK, "end"))
    for mark in range(7):
        x = _LEFT + (_WIDTH - 10 - _LEFT) * mark / 6.0
        at = start + timedelta(seconds=length_s * mark / 6.0)
        anchor: Anchor = "start" if mark == 0 else "end" if mark == 6 else "middle"
        chart.texts.append((x, _HEIGHT - 16, f"{at.day:02} {_MONTHS[at.month - 1]} {at:%H:%M}", _INK, anchor))
    for index, (name, power) in enumerate(powers.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        points = [
            (_LEFT + (_WIDTH - 10 - _LEFT) * step * step_s / length_s, _y(watts / 1000.0, top_kw))
            for step, watts in enumerate(power)
        ]
        if points:
            chart.lines.append((points, colour))
        chart.texts.append((_LEFT + 10 + 150 * index, 24, name, colour, "start"))
    return chart


def _y(power_kw: float, top_kw: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * power_kw / top_kw
