"""From the element of an operation to its `Request`: a table (namespace, name) -> parameters and translator.

Operations of RFC 6241, get-schema (RFC 6022), create-subscription (RFC 5277), those of `nms.netconf.nmda` and
`nms.netconf.action`, and every rpc of the served models.  Strict: an element or attribute that the operation
does not have is an error that names it.  Nothing is executed here, and access control is not this module's concern.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias, cast, get_args

from lxml import etree

from nms.model import xml
from nms.netconf import nmda
from nms.netconf.action import action_of
from nms.netconf.datastores import (
    WITH_DEFAULTS_TAG,
    datastore_of,
    default_operation,
    edits_of,
    filter_of,
    source_of,
    with_defaults,
)
from nms.netconf.messages import MONITORING, NETCONF, NOTIFICATION, YANG
from nms.netconf.operation_table import Context, Table
from nms.netconf.parameters import Parameters, check_attributes, date_and_time, number, text_of, unexpected
from nms.notify.prefixes import SUBSCRIPTIONS, qualify_filters
from nms.operations.request import (
    CancelCommit,
    CloseSession,
    Commit,
    CopyConfig,
    CreateSubscription,
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
    Unlock,
    Validate,
)

OPERATIONS: Final = Table(nmda.OPERATIONS)

_TestOption: TypeAlias = Literal["test-then-set", "set", "test-only"]
_ErrorOption: TypeAlias = Literal["stop-on-error", "continue-on-error", "rollback-on-error"]


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
        return action_of(context.schema, operation)
    qualified = etree.QName(operation)
    module = context.schema.module_of_namespace.get(qualified.namespace or "")
    node = context.schema.rpcs.get((module or "", qualified.localname))
    if node is None:
        raise unexpected(operation, context.schema.module_of_namespace)
    receiver = None
    if node.module in SUBSCRIPTIONS:
        qualify_filters(operation, context.schema.module_of_namespace)
        receiver = Receiver(context.sink, "xml", context.waiting)
    return Invoke(node, xml.decode(node.children[0], operation, ((node, None),)), receiver=receiver)


# RFC 6241 section 7


@OPERATIONS.row(NETCONF, "get", optional=("filter", WITH_DEFAULTS_TAG))
def _get(context: Context, given: Parameters) -> Request:
    return Get(filter=filter_of(context, given.get("filter")), with_defaults=with_defaults(given))


@OPERATIONS.row(NETCONF, "get-config", required=("source",), optional=("filter", WITH_DEFAULTS_TAG))
def _get_config(context: Context, given: Parameters) -> Request:
    return Get(
        datastore=datastore_of(context, given["source"]),
        filter=filter_of(context, given.get("filter")),
        content="config",
        with_defaults=with_defaults(given),
        rpc=("ietf-netconf", "get-config"),
    )


@OPERATIONS.row(
    NETCONF,
    "edit-config",
    required=("target", "config"),
    optional=("default-operation", "test-option", "error-option"),
)
def _edit_config(context: Context, given: Parameters) -> Request:
    check_attributes(given["config"])
    operation = default_operation(given)
    return EditConfig(
        target=datastore_of(context, given["target"]),
        edits=edits_of(context, given["config"], operation),
        whole=operation == "replace",
        test_option=cast(_TestOption, given.one_of("test-option", get_args(_TestOption)) or "test-then-set"),
        error_option=cast(_ErrorOption, given.one_of("error-option", get_args(_ErrorOption)) or "stop-on-error"),
    )


@OPERATIONS.row(NETCONF, "copy-config", required=("target", "source"), optional=(WITH_DEFAULTS_TAG,))
def _copy_config(context: Context, given: Parameters) -> Request:
    source = source_of(context, given["source"])
    return CopyConfig(source, datastore_of(context, given["target"]), with_defaults(given))


@OPERATIONS.row(NETCONF, "delete-config", required=("target",))
def _delete_config(context: Context, given: Parameters) -> Request:
    return DeleteConfig(datastore_of(context, given["target"]))


@OPERATIONS.row(NETCONF, "lock", required=("target",))
def _lock(context: Context, given: Parameters) -> Request:
    return Lock(datastore_of(context, given["target"], nmda=True))


@OPERATIONS.row(NETCONF, "unlock", required=("target",))
def _unlock(context: Context, given: Parameters) -> Request:
    return Unlock(datastore_of(context, given["target"], nmda=True))


@OPERATIONS.row(NETCONF, "validate", required=("source",))
def _validate(context: Context, given: Parameters) -> Request:
    return Validate(source_of(context, given["source"], nmda=True))


@OPERATIONS.row(NETCONF, "commit", optional=("confirmed", "confirm-timeout", "persist", "persist-id"))
def _commit(_: Context, given: Parameters) -> Request:
    timeout = given.get("confirm-timeout")
    return Commit(
        confirmed=given.flag("confirmed"),
        timeout=600 if timeout is None else number(timeout, 1, 2**32 - 1),
        persist=given.text("persist"),
        persist_id=given.text("persist-id"),
    )


@OPERATIONS.row(NETCONF, "cancel-commit", optional=("persist-id",))
def _cancel_commit(_: Context, given: Parameters) -> Request:
    return CancelCommit(given.text("persist-id"))


@OPERATIONS.row(NETCONF, "discard-changes")
def _discard_changes(_: Context, given: Parameters) -> Request:
    return DiscardChanges()


@OPERATIONS.row(NETCONF, "close-session")
def _close_session(_: Context, given: Parameters) -> Request:
    return CloseSession()


@OPERATIONS.row(NETCONF, "kill-session", required=("session-id",))
def _kill_session(_: Context, given: Parameters) -> Request:
    return KillSession(number(given["session-id"], 1, 2**32 - 1))


# RFC 6022, RFC 5277


@OPERATIONS.row(MONITORING, "get-schema", required=("identifier",), optional=("version", "format"))
def _get_schema(_: Context, given: Parameters) -> Request:
    kind = given.text("format") or "yang"
    return GetSchema(text_of(given["identifier"]), given.text("version"), kind.rpartition(":")[2])


@OPERATIONS.row(NOTIFICATION, "create-subscription", optional=("stream", "filter", "startTime", "stopTime"))
def _create_subscription(context: Context, given: Parameters) -> Request:
    return CreateSubscription(
        sink=context.sink,
        stream=given.text("stream") or "NETCONF",
        filter=filter_of(context, given.get("filter")),
        start_time=_time(given.get("startTime")),
        stop_time=_time(given.get("stopTime")),
    )


def _time(element: etree._Element | None) -> datetime | None:
    return None if element is None else date_and_time(element)
