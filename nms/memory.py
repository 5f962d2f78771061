"""Memory that the process has freed and the C library keeps: given back after work that took much of it.

glibc returns what lies at the end of its heap only, and after a large message that is never free.  Other C libraries
have no such call, and need none.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Return free memory to the system; takes some milliseconds, in which other threads run."""
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    trim: Callable[[int], object] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim if trim is not None else lambda pad: None
