"""Latency against size as an SVG picture: both axes logarithmic, a line for each operation with its name at its end.

Written here, in one page: what the package index offers for it is either eleven packages with numpy among them
(matplotlib) or names its lines in a legend beside them and cannot follow the viewer's light or dark (pygal).

A panel for each server, side by side on the same axes: a line that stays level costs the same at any size.  The picture
brings its own background and follows the viewer's preference for dark or light.  Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

Point = tuple[float, float]  # entries, milliseconds

_WIDTH: Final = 300  # of the part of a panel with lines in it
_HEIGHT: Final = 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 156, 56, 48  # around it: axis, names, title, axis
_LETTER: Final = 14  # the least distance of two names

#: A colour for each line in light and in dark, after the palette of Okabe and Ito for colour-blind readers.
_COLOURS: Final = (
    ("#0072b2", "#56b4e9"),
    ("#b35900", "#e69f00"),
    ("#00704f", "#2fd3a0"),
    ("#a8327a", "#e58fc1"),
    ("#5b4bb5", "#a99cf5"),
    ("#7a6a00", "#e3d34a"),
    ("#b01e1e", "#ff8a7a"),
    ("#3f5b66", "#a9c1cc"),
    ("#2f7d0f", "#93d96b"),
)
_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-size: 15px; font-weight: 600 }
.back { fill: #ffffff } .grid { stroke: #d0d7de; stroke-width: 1 } .line { fill: none; stroke-width: 2 }
.lead { fill: none; stroke-width: 1; opacity: .5 }
"""
_DARK: Final = "text { fill: #e6edf3 } .back { fill: #0d1117 } .grid { stroke: #30363d }"


@dataclass(frozen=True, slots=True)
class Panel:
    """One server: the points of each operation, in order of size."""

    title: str
    lines: Mapping[str, Sequence[Point]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """A logarithmic axis over whole decades."""

    low: int
    high: int

    @classmethod
    def over(cls, values: Sequence[float]) -> _Axis:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1))

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        return (math.log10(value) - self.low) / (self.high - self.low)

    def decades(self) -> list[float]:
        return [10.0**exponent for exponent in range(self.low, self.high + 1)]


def spread(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, at least `least` apart and, if they all fit, between `low` and `high`."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = [0.0] * len(wanted)
    floor = low
    for index in order:
        placed[index] = floor = max(wanted[index], floor)
        floor += least
    ceiling = max(high, low + least * (len(wanted) - 1))
    for index in reversed(order):
        placed[index] = ceiling = min(placed[index], ceiling)
        ceiling -= least
    return placed


def _time(milliseconds: float) -> str:
    if milliseconds < 1:
        return f"{milliseconds * 1000:g} µs"
    return f"{milliseconds:g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:g} s"


def svg(panels: Sequence[Panel]) -> str:
    """The picture; no panel may be without points."""
    points = [point for panel in panels for line in panel.lines.values() for point in line]
    across, up = _Axis.over([size for size, _ in points]), _Axis.over([time for _, time in points])
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    step = _LEFT + _WIDTH + _RIGHT
    width, height = step * len(panels), _TOP + _HEIGHT + _BOTTOM
    body = [
        f'<g transform="translate({index * step + _LEFT} {_TOP})">{"".join(_panel(panel, names, across, up))}</g>'
        for index, panel in enumerate(panels)
    ]
    dark = f"@media (prefers-color-scheme: dark) {{ {_DARK}\n{_colours(1)}}}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">',
            "<title>Median latency against the number of entries in the datastore</title>",
            f"<style>{_STYLE}{_colours(0)}{dark}</style>",
            f'<rect class="back" width="{width}" height="{height}"/>',
            *body,
            "</svg>\n",
        ]
    )


def _colours(scheme: int) -> str:
    rules = ".c{0} {{ stroke: {1} }} circle.c{0} {{ fill: {1} }} text.c{0} {{ stroke: none; fill: {1} }}\n"
    return "".join(rules.format(index, colour[scheme]) for index, colour in enumerate(_COLOURS))


def _panel(panel: Panel, names: Sequence[str], across: _Axis, up: _Axis) -> list[str]:
    def place(point: Point) -> tuple[float, float]:
        return across.place(point[0]) * _WIDTH, (1 - up.place(point[1])) * _HEIGHT

    parts = [f'<text class="title" y="-24">{escape(panel.title)}</text>']
    for value in up.decades():
        y = place((10.0**across.low, value))[1]
        parts.append(f'<path class="grid" d="M0 {y:.1f}H{_WIDTH}"/>')
        parts.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{_time(value)}</text>')
    for value in across.decades():
        x = place((value, 10.0**up.low))[0]
        parts.append(f'<path class="grid" d="M{x:.1f} 0V{_HEIGHT}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT + 18}" text-anchor="middle">{value:,.0f}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 36}" text-anchor="middle">entries in the datastore</text>')
    ends = [place(line[-1]) for line in panel.lines.values()]
    heights = spread([y for _, y in ends], _LETTER, 0, _HEIGHT)
    for (name, line), (x, y), height in zip(panel.lines.items(), ends, heights, strict=True):
        colour = f"c{names.index(name) % len(_COLOURS)}"
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in map(place, line))
        parts.append(f'<path class="line {colour}" d="M{path}"/>')
        parts += [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in map(place, line)]
        parts.append(f'<path class="lead {colour}" d="M{x:.1f} {y:.1f}L{x + 12:.1f} {height:.1f}"/>')
        parts.append(f'<text class="{colour}" x="{x + 16:.1f}" y="{height + 4:.1f}">{escape(name)}</text>')
    return parts
