"""What operations name: datastores, filters, configurations (RFC 6241 sections 5 to 8, RFC 8526 section 3).

Each function raises the `RpcError` of RFC 6241 appendix A that names the element.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast, get_args

from lxml import etree

from nms.errors import RpcError
from nms.model import xml_edit, xpath_instance
from nms.model.edit import Edit, Op
from nms.netconf.messages import DATASTORES, NETCONF, NMDA, WITH_DEFAULTS
from nms.netconf.operation_table import Context
from nms.netconf.parameters import Parameters, check_attributes, name_of, text_of, unexpected
from nms.operations.request import Datastore, SubtreeFilter, WithDefaults, XPathFilter

_CONFIGURATIONS: Final[Mapping[str, Datastore]] = {
    f"{{{NETCONF}}}running": "running",
    f"{{{NETCONF}}}candidate": "candidate",
    f"{{{NETCONF}}}startup": "startup",
}
#: The parameter of RFC 6243.
WITH_DEFAULTS_TAG: Final = f"{{{WITH_DEFAULTS}}}with-defaults"
_MODES: Final = get_args(WithDefaults)


def datastore_of(context: Context, element: etree._Element, *, nmda: bool = False) -> Datastore:
    """The datastore that a <source> or <target> names.

    Args:
        nmda: whether it may be a <datastore>, as in <lock>, <unlock> and <validate> (RFC 8526 section 3.2).
    """
    if len(element) != 1:
        raise RpcError(
            "missing-element" if not len(element) else "bad-element",
            f"<{name_of(element)}> names one datastore",
            type="protocol",
            info={"bad-element": name_of(element)},
        )
    check_attributes(element)
    choice = element[0]
    named = _CONFIGURATIONS.get(str(choice.tag))
    if named is not None:
        return named
    if not nmda or choice.tag != f"{{{NMDA}}}datastore":
        raise unexpected(choice, context.schema.module_of_namespace)
    return identity_of(choice)


def identity_of(element: etree._Element) -> Datastore:
    """A datastore identityref of RFC 8342."""
    prefix, _, name = text_of(element).rpartition(":")
    namespace = element.nsmap.get(prefix or None)
    if namespace != DATASTORES or name not in get_args(Datastore):
        raise RpcError(
            "invalid-value",
            f"{text_of(element)!r} is no datastore of this server",
            type="protocol",
            info={"bad-element": name_of(element)},
        )
    return cast(Datastore, name)


def source_of(context: Context, element: etree._Element, *, nmda: bool = False) -> Datastore | list[Edit]:
    """A <source>: a datastore, `nmda` as in `datastore_of`, or an inline <config>."""
    # without namespace too: see `Parameters`
    if len(element) == 1 and element[0].tag in (f"{{{NETCONF}}}config", "config"):
        check_attributes(element[0])
        return edits_of(context, element[0], "merge")
    return datastore_of(context, element, nmda=nmda)


def filter_of(context: Context, element: etree._Element | None) -> SubtreeFilter | XPathFilter | None:
    """A <filter> of RFC 6241 sections 6 and 8.9; clients write its attributes with and without NETCONF's prefix."""
    if element is None:
        return None
    check_attributes(element, "type", "select")
    kind = element.get("type") or element.get(f"{{{NETCONF}}}type") or "subtree"
    select = element.get("select") or element.get(f"{{{NETCONF}}}select")
    if kind == "subtree":
        return SubtreeFilter(element)
    if kind != "xpath":
        raise RpcError(
            "bad-attribute",
            f"a filter's type is subtree or xpath, not {kind!r}",
            type="protocol",
            info={"bad-attribute": "type", "bad-element": "filter"},
        )
    if not select:
        raise RpcError(
            "missing-attribute",
            "an xpath filter needs a select attribute",
            type="protocol",
            info={"bad-attribute": "select", "bad-element": "filter"},
        )
    return xpath_of(context, element, select)


def xpath_of(context: Context, element: etree._Element, select: str) -> XPathFilter:
    """The filter of an XPath expression, with the prefixes that are declared at `element`."""
    namespaces = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
    return XPathFilter(select, namespaces, xpath_instance.path(context.schema, select, namespaces))


def with_defaults(given: Parameters, name: str = WITH_DEFAULTS_TAG) -> WithDefaults | None:
    """How defaults are to be reported (RFC 6243); `name` as in `Parameters`."""
    return cast("WithDefaults | None", given.one_of(name, _MODES))


def edits_of(context: Context, config: etree._Element, default_operation: Op) -> list[Edit]:
    """The edits of a <config>."""
    edits = xml_edit.decode_edit(context.schema, config, default_operation, context.placed)
    xml_edit.refuse_empty_state(context.schema, config)
    return edits


def default_operation(given: Parameters) -> Op:
    """The operation of what says none itself (RFC 6241 section 7.2)."""
    return cast(Op, given.one_of("default-operation", ("merge", "replace", "none")) or "merge")
