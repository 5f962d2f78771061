"""What a command shows: tables and progress for people, JSON for scripts.

Nothing else in the command line prints, so that `--json` means the same everywhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

T = TypeVar("T")


class _Console(Console):
    """A console that leaves it to `nms.cli` what becomes of a command whose reader has left (`nms get | head`)."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console = _Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, highlight=False)


def show_json(value: Any) -> None:
    """One JSON document, indented."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.stdout.flush()


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Rows under headers; the sentence `empty` when there are none."""
    listed = [[str(cell) if cell is not None else "" for cell in row] for row in rows]
    if not listed:
        console.print(empty)
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        shown.add_column(header, overflow="fold")
    for row in listed:
        shown.add_row(*row)
    console.print(shown)


def outline(value: Any, indent: int = 0) -> None:
    """Instance data as an indented outline: one leaf a line, list entries set off by a dash."""
    pad = "  " * indent
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, list) and item and isinstance(item[0], dict):
                for entry in item:
                    console.print(f"{pad}[bold]{name}[/bold]")
                    outline(entry, indent + 1)
            elif isinstance(item, dict):
                console.print(f"{pad}[bold]{name}[/bold]")
                outline(item, indent + 1)
            else:
                console.print(f"{pad}{name}: {_leaf(item)}", markup=False)
    else:
        console.print(f"{pad}{_leaf(value)}", markup=False)


def _leaf(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_leaf, value)) if value != [None] else "(set)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def local_name(identity: str) -> str:
    """An identity without its module."""
    return identity.rpartition(":")[2]


def progress(
    title: str, read: Callable[[], T], *, step: Callable[[T], tuple[int, str]] | None = None, every: float = 0.2
) -> Iterator[T]:
    """What `read` gives, again and again, with a progress line on standard error while a person watches.

    Args:
        step: percentage and a word about what was read; None shows that something goes on.
        every: seconds between two reads.
    """
    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    )
    with shown if errors.is_terminal else nullcontext():
        task = shown.add_task(title, total=100 if step else None)
        while True:
            found = read()
            if step is not None:
                percent, word = step(found)
                shown.update(task, completed=percent, description=f"{title}: {word}")
            yield found
            time.sleep(every)


def say(text: str) -> None:
    """One line for a person."""
    console.print(text, markup=False)


def complain(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"nms: {text}\n")
