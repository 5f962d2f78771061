"""The page that `nms lab --report` writes: Tables 3 and 4 of the paper beside what was observed.

One file of HTML without scripts or outside resources; made of `lab.html`, a Jinja template, so that its shape can be
read and changed as a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from nms.errors import ConfigError

if TYPE_CHECKING:
    from nms.commands.lab import Outcome

_TEMPLATE = Path(__file__).with_name("lab.html")


def page(outcomes: Sequence[Outcome], now: datetime) -> str:
    """The page as text."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_TEMPLATE.read_text()).render(outcomes=outcomes, when=now.strftime("%Y-%m-%d %H:%M"))


def check(file: Path) -> None:
    """Whether the page can be written, before anything is played for it.  Raises `ConfigError`."""
    try:
        file.open("a").close()
    except OSError as error:
        raise ConfigError(f"--report {file}: {error.strerror}") from None


def write(file: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the page.  Raises `ConfigError`: it cannot be written."""
    try:
        file.write_text(page(outcomes, datetime.now(UTC)))
    except OSError as error:
        raise ConfigError(f"--report {file}: {error.strerror}") from None
