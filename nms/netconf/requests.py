"""From the element of an operation to its `Request`: a table (namespace, name) -> parameters and translator.

Operations of RFC 6241, get-schema (RFC 6022), create-subscription (RFC 5277), get-data and edit-data (RFC 8526),
actions (RFC 7950 section 7.15), and every rpc of the served models.  Strict: an element or attribute that the operation
does not have is an error that names it.  Nothing is executed here, and access control is not this module's concern.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, cast, get_args

from lxml import etree

from nms.errors import RpcError
from nms.model import xml, xml_edit, xpath_instance
from nms.model.edit import Edit, Op
from nms.model.path import Step
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue, Resolver
from nms.model.xml_runs import NOTHING_PLACED, Placed
from nms.netconf.messages import DATASTORES, MONITORING, NETCONF, NMDA, NOTIFICATION, WITH_DEFAULTS, YANG
from nms.netconf.parameters import (
    Parameters,
    check_attributes,
    date_and_time,
    name_of,
    number,
    text_of,
    unexpected,
)
from nms.notify.prefixes import SUBSCRIPTIONS, qualify_filters
from nms.operations.request import (
    CancelCommit,
    CloseSession,
    Commit,
    Content,
    CopyConfig,
    CreateSubscription,
    Datastore,
    DeleteConfig,
    DiscardChanges,
    EditConfig,
    Get,
    GetSchema,
    Invoke,
    KillSession,
    Lock,
    Receiver,
    Request,
    SubtreeFilter,
    Unlock,
    Validate,
    WithDefaults,
    XPathFilter,
)

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


OPERATIONS: Final[dict[str, Operation]] = {}


def _operation(
    namespace: str,
    name: str,
    required: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    repeated: tuple[str, ...] = (),
) -> Callable[[Translator], Translator]:
    """Enter the decorated translator in the table."""

    def enter(translate: Translator) -> Translator:
        OPERATIONS[f"{{{namespace}}}{name}"] = Operation(translate, required, optional, repeated)
        return translate

    return enter


def translate(context: Context, operation: etree._Element) -> Request:
    """The request that `operation`, the child of an <rpc>, asks for.

    Raises:
        RpcError: unknown-namespace, unknown-element, missing-element, invalid-value ..., with the name in error-info.
    """
    row = OPERATIONS.get(str(operation.tag))
    if row is not None:
        known = context.schema.module_of_namespace
        parameters = Parameters(operation, row.required, row.optional, known, row.repeated)
        return row.translate(context, parameters)
    if operation.tag == f"{{{YANG}}}action":
        return _action(context.schema, operation)
    qualified = etree.QName(operation)
    module = context.schema.module_of_namespace.get(qualified.namespace or "")
    node = context.schema.rpcs.get((module or "", qualified.localname))
    if node is None:
        raise unexpected(operation, context.schema.module_of_namespace)
    if node.module in SUBSCRIPTIONS:
        qualify_filters(operation, context.schema.module_of_namespace)
        receiver = Receiver(context.sink, "xml", context.waiting)
        return Invoke(node, xml.decode(node.children[0], operation, ((node, None),)), receiver=receiver)
    return Invoke(node, xml.decode(node.children[0], operation, ((node, None),)))


# Datastores and filters

_CONFIGURATIONS: Final[Mapping[str, Datastore]] = {
    f"{{{NETCONF}}}running": "running",
    f"{{{NETCONF}}}candidate": "candidate",
    f"{{{NETCONF}}}startup": "startup",
}
_WITH_DEFAULTS: Final = f"{{{WITH_DEFAULTS}}}with-defaults"
_MODES: Final = get_args(WithDefaults)
_EDITABLE: Final = frozenset(("running", "candidate", "startup"))

_TestOption: TypeAlias = Literal["test-then-set", "set", "test-only"]
_ErrorOption: TypeAlias = Literal["stop-on-error", "continue-on-error", "rollback-on-error"]


def _datastore(context: Context, element: etree._Element, *, nmda: bool = False) -> Datastore:
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
    return _identity(choice)


def _identity(element: etree._Element) -> Datastore:
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


def _source(context: Context, element: etree._Element, *, nmda: bool = False) -> Datastore | list[Edit]:
    """A <source>: a datastore, `nmda` as in `_datastore`, or an inline <config>."""
    # without namespace too: see `Parameters`
    if len(element) == 1 and element[0].tag in (f"{{{NETCONF}}}config", "config"):
        check_attributes(element[0])
        return _edits(context, element[0], "merge")
    return _datastore(context, element, nmda=nmda)


def _filter(context: Context, element: etree._Element | None) -> SubtreeFilter | XPathFilter | None:
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
    return _xpath(context, element, select)


def _xpath(context: Context, element: etree._Element, select: str) -> XPathFilter:
    namespaces = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
    return XPathFilter(select, namespaces, xpath_instance.path(context.schema, select, namespaces))


def _with_defaults(given: Parameters, name: str = _WITH_DEFAULTS) -> WithDefaults | None:
    return cast("WithDefaults | None", given.one_of(name, _MODES))


# RFC 6241 section 7


@_operation(NETCONF, "get", optional=("filter", _WITH_DEFAULTS))
def _get(context: Context, given: Parameters) -> Request:
    return Get(filter=_filter(context, given.get("filter")), with_defaults=_with_defaults(given))


@_operation(NETCONF, "get-config", required=("source",), optional=("filter", _WITH_DEFAULTS))
def _get_config(context: Context, given: Parameters) -> Request:
    return Get(
        datastore=_datastore(context, given["source"]),
        filter=_filter(context, given.get("filter")),
        content="config",
        with_defaults=_with_defaults(given),
        rpc=("ietf-netconf", "get-config"),
    )


def _edits(context: Context, config: etree._Element, default_operation: Op) -> list[Edit]:
    edits = xml_edit.decode_edit(context.schema, config, default_operation, context.placed)
    xml_edit.refuse_empty_state(context.schema, config)
    return edits


@_operation(
    NETCONF,
    "edit-config",
    required=("target", "config"),
    optional=("default-operation", "test-option", "error-option"),
)
def _edit_config(context: Context, given: Parameters) -> Request:
    check_attributes(given["config"])
    operation = _default_operation(given)
    return EditConfig(
        target=_datastore(context, given["target"]),
        edits=_edits(context, given["config"], operation),
        whole=operation == "replace",
        test_option=cast(_TestOption, given.one_of("test-option", get_args(_TestOption)) or "test-then-set"),
        error_option=cast(_ErrorOption, given.one_of("error-option", get_args(_ErrorOption)) or "stop-on-error"),
    )


def _default_operation(given: Parameters) -> Op:
    return cast(Op, given.one_of("default-operation", ("merge", "replace", "none")) or "merge")


@_operation(NETCONF, "copy-config", required=("target", "source"), optional=(_WITH_DEFAULTS,))
def _copy_config(context: Context, given: Parameters) -> Request:
    source = _source(context, given["source"])
    return CopyConfig(source, _datastore(context, given["target"]), _with_defaults(given))


@_operation(NETCONF, "delete-config", required=("target",))
def _delete_config(context: Context, given: Parameters) -> Request:
    return DeleteConfig(_datastore(context, given["target"]))


@_operation(NETCONF, "lock", required=("target",))
def _lock(context: Context, given: Parameters) -> Request:
    return Lock(_datastore(context, given["target"], nmda=True))


@_operation(NETCONF, "unlock", required=("target",))
def _unlock(context: Context, given: Parameters) -> Request:
    return Unlock(_datastore(context, given["target"], nmda=True))


@_operation(NETCONF, "validate", required=("source",))
def _validate(context: Context, given: Parameters) -> Request:
    return Validate(_source(context, given["source"], nmda=True))


@_operation(NETCONF, "commit", optional=("confirmed", "confirm-timeout", "persist", "persist-id"))
def _commit(_: Context, given: Parameters) -> Request:
    timeout = given.get("confirm-timeout")
    return Commit(
        confirmed=given.flag("confirmed"),
        timeout=600 if timeout is None else number(timeout, 1, 2**32 - 1),
        persist=given.text("persist"),
        persist_id=given.text("persist-id"),
    )


@_operation(NETCONF, "cancel-commit", optional=("persist-id",))
def _cancel_commit(_: Context, given: Parameters) -> Request:
    return CancelCommit(given.text("persist-id"))


@_operation(NETCONF, "discard-changes")
def _discard_changes(_: Context, given: Parameters) -> Request:
    return DiscardChanges()


@_operation(NETCONF, "close-session")
def _close_session(_: Context, given: Parameters) -> Request:
    return CloseSession()


@_operation(NETCONF, "kill-session", required=("session-id",))
def _kill_session(_: Context, given: Parameters) -> Request:
    return KillSession(number(given["session-id"], 1, 2**32 - 1))


# RFC 6022, RFC 5277


@_operation(MONITORING, "get-schema", required=("identifier",), optional=("version", "format"))
def _get_schema(_: Context, given: Parameters) -> Request:
    kind = given.text("format") or "yang"
    return GetSchema(text_of(given["identifier"]), given.text("version"), kind.rpartition(":")[2])


@_operation(NOTIFICATION, "create-subscription", optional=("stream", "filter", "startTime", "stopTime"))
def _create_subscription(context: Context, given: Parameters) -> Request:
    return CreateSubscription(
        sink=context.sink,
        stream=given.text("stream") or "NETCONF",
        filter=_filter(context, given.get("filter")),
        start_time=_time(given.get("startTime")),
        stop_time=_time(given.get("stopTime")),
    )


def _time(element: etree._Element | None) -> datetime | None:
    return None if element is None else date_and_time(element)


# RFC 8526


@_operation(
    NMDA,
    "get-data",
    required=("datastore",),
    optional=("subtree-filter", "xpath-filter", "config-filter", "max-depth", "with-defaults", "with-origin"),
    repeated=("origin-filter", "negated-origin-filter"),
)
def _get_data(context: Context, given: Parameters) -> Request:
    datastore = _identity(given["datastore"])
    subtree, xpath = given.get("subtree-filter"), given.get("xpath-filter")
    if subtree is not None and xpath is not None:
        raise RpcError(
            "bad-element", "a request has one filter only", type="protocol", info={"bad-element": "xpath-filter"}
        )
    wanted: SubtreeFilter | XPathFilter | None = None
    if subtree is not None:
        wanted = SubtreeFilter(subtree)
    elif xpath is not None:
        wanted = _xpath(context, xpath, text_of(xpath))
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
        with_defaults=_with_defaults(given, "with-defaults"),
        with_origin=given.flag("with-origin"),
        origins=_origins(context, given, datastore),
        rpc=("ietf-netconf-nmda", "get-data"),
    )


_ORIGIN: Final = "ietf-origin:origin"


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


@_operation(NMDA, "edit-data", required=("datastore", "config"), optional=("default-operation",))
def _edit_data(context: Context, given: Parameters) -> Request:
    target = _identity(given["datastore"])
    if target not in _EDITABLE:
        raise RpcError("invalid-value", f"{target} is not writable", type="protocol", info={"bad-element": "datastore"})
    operation = _default_operation(given)
    edits = _edits(context, given["config"], operation)
    return EditConfig(target, edits, rpc=("ietf-netconf-nmda", "edit-data"), whole=operation == "replace")


# RFC 7950 section 7.15


def _action(schema: Schema, wrapper: etree._Element) -> Request:
    """The action at the end of a chain of nested data nodes, of which lists hold their keys."""
    node, path = schema.root, list[Step]()
    parent, element = wrapper, _next(wrapper, frozenset())
    while True:
        action = next((a for a in node.actions if a.tag == element.tag), None)
        if action is not None:
            where = (*path, (action, None))
            return Invoke(action, xml.decode(action.children[0], element, where), tuple(path))
        child = node.by_tag.get(str(element.tag))
        if child is None or child.kind not in ("container", "list"):
            raise unexpected(element, schema.module_of_namespace)
        path.append((child, _key(child, element) if child.kind == "list" else None))
        node, parent = child, element
        element = _next(parent, frozenset(leaf.tag for leaf in child.keys))


def _key(node: Node, element: etree._Element) -> object:
    values = []
    for leaf in node.keys:
        given = element.find(leaf.tag)
        if given is None:
            raise RpcError("missing-element", f"key {leaf.name} is missing", info={"bad-element": leaf.name})
        assert leaf.type is not None
        try:
            values.append(leaf.type.parse(text_of(given), _resolver(leaf, given)))
        except InvalidValue as error:
            raise RpcError("invalid-value", f"key {leaf.name}: {error}", info={"bad-element": leaf.name}) from None
    return node.make_key(values)


def _resolver(node: Node, element: etree._Element) -> Resolver:
    """XML prefix -> module name, as declared at `element`."""
    return lambda prefix: node.names.modules.get(element.nsmap.get(prefix or None, ""))


def _next(parent: etree._Element, keys: frozenset[str]) -> etree._Element:
    """The one child of `parent` that is no key."""
    inner = [child for child in parent if child.tag not in keys]
    if not inner:
        raise RpcError(
            "missing-element", "an <action> ends with the action's element", info={"bad-element": name_of(parent)}
        )
    if len(inner) > 1:
        raise RpcError("bad-element", "an <action> names one action", info={"bad-element": name_of(inner[1])})
    return inner[0]
