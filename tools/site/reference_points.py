"""Which model crosses the boundary at which reference point: the paper's tables 3 and 4, as the code has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nms.federation.options import OPTIONS, BoundaryOption
from tools.site.parts import page_of


@dataclass(frozen=True, slots=True)
class Crossing:
    """A model at a reference point under an option, and who serves it there."""

    option: BoundaryOption
    point: str
    servers: tuple[str, ...]


def options(modules: Sequence[str]) -> tuple[BoundaryOption, ...]:
    """The boundary options, if any of their models is among `modules`."""
    return OPTIONS if {model for option in OPTIONS for model in option.exposed} & set(modules) else ()


def crossings(module: str) -> list[Crossing]:
    """Where a model crosses the boundary."""
    return [
        Crossing(option, point.name, point.servers)
        for option in OPTIONS
        for point in option.points
        if point.model == module
    ]


def matrix(modules: Sequence[str]) -> tuple[list[str], list[tuple[str, str, list[list[Crossing]]]]]:
    """Reference points, and for each model that crosses: its name, its page, and under each point the options."""
    names = sorted({point.name for option in OPTIONS for point in option.points})
    rows = [
        (name, page_of(name), [[c for c in found if c.point == point] for point in names])
        for name in modules
        if (found := crossings(name))
    ]
    return names, rows
