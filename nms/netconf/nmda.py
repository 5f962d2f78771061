"""The operations of RFC 8526: get-data and edit-data, on any datastore of RFC 8342."""

from __future__ import annotations

from typing import Final

from lxml import etree

from nms.errors import RpcError
from nms.model.schema import Schema
from nms.netconf.datastores import default_operation, edits_of, identity_of, with_defaults, xpath_of
from nms.netconf.messages import NMDA
from nms.netconf.operation_table import Context, Table
from nms.netconf.parameters import Parameters, name_of, number, text_of
from nms.operations.request import Content, Datastore, EditConfig, Get, Request, SubtreeFilter, XPathFilter

OPERATIONS: Final = Table()

_ORIGIN: Final = "ietf-origin:origin"
_EDITABLE: Final = frozenset(("running", "candidate", "startup"))


@OPERATIONS.row(
    NMDA,
    "get-data",
    required=("datastore",),
    optional=("subtree-filter", "xpath-filter", "config-filter", "max-depth", "with-defaults", "with-origin"),
    repeated=("origin-filter", "negated-origin-filter"),
)
def _get_data(context: Context, given: Parameters) -> Request:
    datastore = identity_of(given["datastore"])
    subtree, xpath = given.get("subtree-filter"), given.get("xpath-filter")
    if subtree is not None and xpath is not None:
        raise RpcError(
            "bad-element", "a request has one filter only", type="protocol", info={"bad-element": "xpath-filter"}
        )
    wanted: SubtreeFilter | XPathFilter | None = None
    if subtree is not None:
        wanted = SubtreeFilter(subtree)
    elif xpath is not None:
        wanted = xpath_of(context, xpath, text_of(xpath))
    depth = None if given.text("max-depth") in (None, "unbounded") else number(given["max-depth"], 1, 65535)
    if depth is not None and wanted is None:
        depth += 1  # the selected ones are the top-level nodes
    content: Content = "all"
    if (config := given.one_of("config-filter", ("true", "false"))) is not None:
        content = "config" if config == "true" else "nonconfig"
    return Get(
        datastore=datastore,
        filter=wanted,
        content=content,
        depth=depth,
        with_defaults=with_defaults(given, "with-defaults"),
        with_origin=given.flag("with-origin"),
        origins=_origins(context, given, datastore),
        rpc=("ietf-netconf-nmda", "get-data"),
    )


def _origins(context: Context, given: Parameters, datastore: Datastore) -> frozenset[str] | None:
    """The origins that the filters of a <get-data> let pass; None: there is no such filter."""
    elements = given.repeated["origin-filter"] or given.repeated["negated-origin-filter"]
    if not elements:
        return None
    if given.repeated["origin-filter"] and given.repeated["negated-origin-filter"]:
        raise RpcError(
            "bad-element",
            "a request has origin-filter or negated-origin-filter",
            type="protocol",
            info={"bad-element": "negated-origin-filter"},
        )
    if datastore != "operational":  # the `when` of the model
        raise RpcError(
            "unknown-element",
            "a filter of origins is for operational only",
            type="protocol",
            info={"bad-element": name_of(elements[0])},
        )
    bases = context.schema.identity_bases
    named = {_origin(context.schema, element) for element in elements}
    passed = {name for name, above in bases.items() if _ORIGIN in above and not named.isdisjoint({name, *above})}
    if given.repeated["origin-filter"]:
        return frozenset(passed)
    return frozenset(name for name, above in bases.items() if _ORIGIN in above) - passed


def _origin(schema: Schema, element: etree._Element) -> str:
    """An identity derived from ``or:origin``, as ``module:name``."""
    prefix, _, name = text_of(element).rpartition(":")
    identity = f"{schema.module_of_namespace.get(element.nsmap.get(prefix or None) or '', '')}:{name}"
    if _ORIGIN not in schema.identity_bases.get(identity, ()):
        raise RpcError(
            "invalid-value",
            f"{text_of(element)!r} is no origin",
            type="protocol",
            info={"bad-element": name_of(element)},
        )
    return identity


@OPERATIONS.row(NMDA, "edit-data", required=("datastore", "config"), optional=("default-operation",))
def _edit_data(context: Context, given: Parameters) -> Request:
    target = identity_of(given["datastore"])
    if target not in _EDITABLE:
        raise RpcError("invalid-value", f"{target} is not writable", type="protocol", info={"bad-element": "datastore"})
    operation = default_operation(given)
    edits = edits_of(context, given["config"], operation)
    return EditConfig(target, edits, rpc=("ietf-netconf-nmda", "edit-data"), whole=operation == "replace")
