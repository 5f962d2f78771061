"""The work that a client's filter may cause, counted while it is done.

The same filter over the same data takes the same every time: what is refused depends neither on the machine nor on who
else is served.  Pure.
"""

from __future__ import annotations

from nms.errors import RpcError


class Work:
    """Units of work, each about a microsecond.

    Attributes:
        left: what may still be spent; None for no bound.
    """

    __slots__ = ("left",)

    def __init__(self, left: int | None = None) -> None:
        self.left = left

    def spend(self, units: int) -> None:
        """Count what is about to be done, or has just been.

        Raises:
            RpcError: resource-denied; the filter takes more than it may.
        """
        if self.left is not None:
            self.left -= units
            if self.left < 0:
                raise RpcError("resource-denied", "the filter takes too much: make it more specific")
