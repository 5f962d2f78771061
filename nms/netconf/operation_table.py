"""The form of the tables of operations: namespace and name -> parameters and translator (`nms.netconf.requests`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from nms.model.schema import Schema
from nms.model.xml_runs import NOTHING_PLACED, Placed
from nms.netconf.parameters import Parameters
from nms.operations.request import Request

#: Takes a notification.
Sink: TypeAlias = Callable[[object], None]


@dataclass(frozen=True, slots=True)
class Context:
    """What a translator may look at besides the element.

    Attributes:
        schema: the models.
        sink: where a subscription's notifications go.
        waiting: how many of them the client has yet to read.
        placed: entries of a large message that elements of it stand for.
    """

    schema: Schema
    sink: Sink
    waiting: Callable[[], int] = lambda: 0
    placed: Placed = NOTHING_PLACED


Translator: TypeAlias = Callable[[Context, Parameters], Request]


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table: the names of the parameters, as `Parameters` has them, and how they become a request."""

    translate: Translator
    required: tuple[str, ...]
    optional: tuple[str, ...]
    repeated: tuple[str, ...]


class Table(dict[str, Operation]):
    """Tag of an operation's element -> its row."""

    def row(
        self,
        namespace: str,
        name: str,
        required: tuple[str, ...] = (),
        optional: tuple[str, ...] = (),
        repeated: tuple[str, ...] = (),
    ) -> Callable[[Translator], Translator]:
        """Enter the decorated translator."""

        def enter(translate: Translator) -> Translator:
            self[f"{{{namespace}}}{name}"] = Operation(translate, required, optional, repeated)
            return translate

        return enter
