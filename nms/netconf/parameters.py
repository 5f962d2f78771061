"""The parameters of a NETCONF operation: which elements it may hold, and the values of the simple ones.

Each mistake is an `RpcError` of RFC 6241 appendix A whose error-info names the element or attribute.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Final

from lxml import etree

from nms.errors import RpcError
from nms.netconf.messages import MONITORING, NETCONF, NMDA, NOTIFICATION, WITH_DEFAULTS, YANG

_DATE_AND_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


#: Namespaces that the server knows whether or not their modules are among the served ones.
PROTOCOL: Final = frozenset((MONITORING, NETCONF, NMDA, NOTIFICATION, WITH_DEFAULTS, YANG))


class Parameters(dict[str, etree._Element]):
    """The children of an operation's element, by local name in the operation's namespace and by tag otherwise.

    Args:
        operation: the element.
        required, optional: names of the allowed children; each may occur once.
        namespaces: the namespaces that this server knows, to tell an unknown element from an unknown namespace.
        repeated: names of the children that may occur several times; they are in the attribute of that name.

    Raises:
        RpcError: unknown-element, unknown-namespace, bad-element (given twice), missing-element, unknown-attribute.
    """

    def __init__(
        self,
        operation: etree._Element,
        required: Sequence[str],
        optional: Sequence[str],
        namespaces: Container[str],
        repeated: Sequence[str] = (),
    ) -> None:
        check_attributes(operation)
        self.repeated: dict[str, list[etree._Element]] = {name: [] for name in repeated}
        namespace = str(operation.tag).rpartition("}")[0] + "}"
        for child in operation:
            tag = str(child.tag)
            # ncclient passes <config> on as scripts write it, and theirs often has no namespace.
            name = tag.removeprefix(namespace) if tag[0] == "{" or tag == "config" else ""
            if name in self.repeated:
                self.repeated[name].append(child)
                continue
            if name not in required and name not in optional:
                raise unexpected(child, namespaces)
            if name in self:
                raise RpcError(
                    "bad-element",
                    f"<{name_of(child)}> is given twice",
                    type="protocol",
                    info={"bad-element": name_of(child)},
                )
            self[name] = child
        for name in required:
            if name not in self:
                raise RpcError(
                    "missing-element",
                    f"<{name_of(operation)}> needs <{name}>",
                    type="protocol",
                    info={"bad-element": name},
                )

    def text(self, name: str) -> str | None:
        """The text of a leaf, None when it is absent."""
        element = self.get(name)
        return None if element is None else text_of(element)

    def flag(self, name: str) -> bool:
        """Whether a leaf of type empty is there."""
        text = self.text(name)
        if text:
            raise _invalid(self[name], "takes no value")
        return text is not None

    def one_of(self, name: str, allowed: Sequence[str]) -> str | None:
        """The text of an enumeration, None when it is absent."""
        text = self.text(name)
        if text is not None and text not in allowed:
            raise _invalid(self[name], f"is one of {', '.join(allowed)}, not {text[:60]!r}")
        return text


def name_of(element: etree._Element) -> str:
    """Local name."""
    return etree.QName(element).localname


def text_of(element: etree._Element) -> str:
    """The value of a leaf without surrounding whitespace.

    Raises:
        RpcError: unknown-element for a child element, unknown-attribute.
    """
    check_attributes(element)
    if len(element):
        raise RpcError(
            "unknown-element",
            f"<{name_of(element)}> holds no elements",
            type="protocol",
            info={"bad-element": name_of(element[0])},
        )
    return (element.text or "").strip()


def number(element: etree._Element, low: int, high: int) -> int:
    """The text of an unsigned integer from `low` to `high`."""
    text = text_of(element)
    if not (text.isascii() and text.isdecimal()) or len(text) > 20 or not low <= int(text) <= high:
        raise _invalid(element, f"is a number from {low} to {high}, not {text[:30]!r}")
    return int(text)


def date_and_time(element: etree._Element) -> datetime:
    """The text of a date-and-time (RFC 6991, RFC 3339), with its offset."""
    text = text_of(element)
    try:
        if _DATE_AND_TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise _invalid(element, f"is a date and time of RFC 3339 with an offset, not {text[:40]!r}")


def check_attributes(element: etree._Element, *allowed: str) -> None:
    """Refuse attributes without namespace other than `allowed`; those of foreign namespaces mean nothing here."""
    for key in element.keys():  # noqa: SIM118 - an element iterates over its children
        name = str(key)
        if name[0] != "{" and name not in allowed:
            raise RpcError(
                "unknown-attribute",
                f"<{name_of(element)}> has no attribute {name}",
                type="protocol",
                info={"bad-attribute": name, "bad-element": name_of(element)},
            )


def unexpected(element: etree._Element, namespaces: Container[str]) -> RpcError:
    """The error for an element that may not be where it is."""
    qualified = etree.QName(element)
    if qualified.namespace and qualified.namespace not in namespaces and qualified.namespace not in PROTOCOL:
        return RpcError(
            "unknown-namespace",
            f"no module of this server has the namespace {qualified.namespace}",
            type="protocol",
            info={"bad-element": qualified.localname, "bad-namespace": qualified.namespace},
        )
    return RpcError(
        "unknown-element",
        f"<{qualified.localname}> is not known here",
        type="protocol",
        info={"bad-element": qualified.localname},
    )


def _invalid(element: etree._Element, why: str) -> RpcError:
    return RpcError(
        "invalid-value", f"<{name_of(element)}> {why}", type="protocol", info={"bad-element": name_of(element)}
    )
