"""A fault found while decoding: raised where it is found, given its path on the way up.

The way up costs nothing when all is well, so decoders need not carry paths about.
"""

from __future__ import annotations

from collections.abc import Mapping

from nms.errors import ErrorType, RpcError
from nms.model.path import InstancePath, Step, format_path
from nms.model.schema import Choice, Node
from nms.model.types import InvalidValue


class Fault(Exception):
    """An error of RFC 6241 whose path is not known yet; `steps` holds it from the inside out."""

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        type: ErrorType = "application",
        app_tag: str = "",
        info: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(tag, message)
        self.tag = tag
        self.message = message
        self.type: ErrorType = type
        self.app_tag = app_tag
        self.info = info
        self.steps: list[Step] = []

    def at(self, node: Node, key: object = None) -> Fault:
        """Note that the fault lies below this instance."""
        self.steps.append((node, key))
        return self

    def error(self, base: InstancePath = ()) -> RpcError:
        """The error with its whole path, below `base`."""
        path = (*base, *reversed(self.steps))
        where = format_path(path) if path else ""
        return RpcError(self.tag, self.message, type=self.type, path=where, app_tag=self.app_tag, info=self.info)


def invalid(error: InvalidValue) -> Fault:
    """A value outside its type (RFC 7950 section 8.3.1)."""
    return Fault("invalid-value", str(error), app_tag=error.app_tag)


def missing_key(node: Node, leaf: Node) -> Fault:
    """A list entry without one of its keys (RFC 7950 section 8.3.1)."""
    return Fault(
        "missing-element",
        f"an entry of list {node.name} needs its key {leaf.name}",
        type="protocol",
        info={"bad-element": leaf.name},
    )


def twice(name: str) -> Fault:
    """An instance given more than once."""
    return Fault("bad-element", f"{name} is given twice", info={"bad-element": name})


def unknown(name: str, known: object) -> Fault:
    """A name the schema does not have at this place."""
    return Fault("unknown-element", f"there is no {name!r} in {known}", info={"bad-element": name})


def two_cases(node: Node, choice: Choice) -> Fault:
    """Data of several cases of a choice (RFC 7950 section 8.3.1)."""
    cases = ", ".join(choice.cases)
    return Fault(
        "bad-element",
        f"{node.name} stands beside data of another case: the cases {cases} of choice {choice.name} exclude each other",
        info={"bad-element": node.name},
    )
