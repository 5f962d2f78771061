"""The figures as tables in Markdown, with columns that line up in a terminal too.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.bench.measures import ROWS
from tests.bench.meter import Figure
from tests.bench.results import Results

_ABSENT: Final = "–"


def number(value: float) -> str:
    """Three digits that count, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def cell(figure: Figure | None) -> str:
    """A figure with its unit, and the CPU time beside it."""
    if figure is None:
        return _ABSENT
    said = f"{number(figure.value)} {figure.unit}"
    if figure.cpu_ms is None:
        return said
    cpu = f"{number(figure.cpu_ms / 1000)} s" if figure.unit == "s" else f"{number(figure.cpu_ms)} ms"
    return f"{said} ({cpu})"


def growth(figures: Sequence[Figure | None]) -> str:
    """The figure at the largest size by that at the smallest, and the same of the CPU time."""
    known = [figure for figure in figures if figure is not None]
    if len(known) < 2:
        return _ABSENT
    first, last = known[0], known[-1]
    said = f"× {number(last.value / first.value)}"
    return f"{said} (× {number(last.cpu_ms / first.cpu_ms)})" if first.cpu_ms and last.cpu_ms else said


def table(results: Results, rows: Sequence[str]) -> list[str]:
    """One table: a row for each figure and server, a column for each size."""
    sizes = results.sizes()
    lines = [["", "", *(f"{size:,}" for size in sizes), "growth"]]
    for row in rows:
        label = row
        for server in results.figures:
            figures = [results.get(server, size, row) for size in sizes]
            if any(figures):
                lines.append([label, server, *map(cell, figures), growth(figures)])
                label = ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = ["-" * width if column < 2 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return [_line(line, widths) for line in (lines[0], rule, *lines[1:])] if len(lines) > 1 else []


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        text.ljust(width) if column < 2 else text.rjust(width)
        for column, (text, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join(padded)} |"


def tables(results: Results) -> str:
    """All of them, each under its heading."""
    parts = []
    for group, rows in ROWS.items():
        lines = table(results, rows)
        if lines:
            parts.append("\n".join([f"**{group}**", "", *lines]))
    return "\n\n".join(parts)


def about(results: Results) -> str:
    """What the run was made on."""
    return "\n".join(f"- {heading}: {words}" for heading, words in results.about.items())
