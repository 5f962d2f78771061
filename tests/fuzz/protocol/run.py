"""The long run of a protocol target: case after case; what breaks the law is kept by the number that gives it again."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.protocol.subjects import Broken
from tests.fuzz.protocol.targets import TARGETS


def until(
    target: str, seed: int, cases: int, seconds: float, start: int, found: Path | None, say: Callable[[str], None]
) -> list[str]:
    """Run until either bound is reached; the names of what was found.

    Args:
        start: number of the first case; which it is follows from the seed and the number alone.
        found: folder for what is found, None to keep nothing.
    """
    broken: list[str] = []
    begun = shown = time.monotonic()
    number = start
    while number < start + cases and time.monotonic() - begun < seconds:
        name = f"{target}-{seed}-{number}"
        try:
            TARGETS[target](Random(f"{seed}/{number}"))
        except Broken as error:
            broken.append(name)
            say(f"{name}: {error}")
            if found is not None:
                found.mkdir(parents=True, exist_ok=True)
                (found / f"{name}.txt").write_text("".join(traceback.format_exception(error)), errors="replace")
        number += 1
        if time.monotonic() - shown > 2:
            shown = time.monotonic()
            say(f"{target} {number}: {len(broken)} broken")
    say(f"{target}: {number - start} cases, {len(broken)} broken")
    return broken
