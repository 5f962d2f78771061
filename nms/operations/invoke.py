"""Model-defined rpcs and actions (RFC 7950 sections 7.14, 7.15): who registered answers them."""

from __future__ import annotations

from nms.errors import RpcError, RpcErrors
from nms.model import constraints
from nms.model.path import format_path
from nms.operations.context import Context
from nms.operations.request import Invoke, Reply, Session


def invoke(context: Context, session: Session, request: Invoke) -> Reply:
    """Call the registered handler.

    Raises:
        RpcError: operation-not-supported; nobody registered.  invalid-value with status 404; the instance that the
            action belongs to does not exist.  Violations of the input's constraints (RFC 7950 section 8.3.3).  What the
            handler raises.
    """
    node = request.node
    call = context.calls.get(node)
    if call is None:
        raise RpcError("operation-not-supported", f"{node.module}:{node.name} is not supported here", status=501)
    if request.path and not context.guard.exists("operational", request.path):
        where = format_path(request.path)
        raise RpcError("invalid-value", "there is no such instance", type="protocol", path=where, status=404)
    wanted, output = node.children
    root = context.guard.store.root("operational")
    violations = constraints.validate_value(context.schema, wanted, request.input, root, parent=request.path)
    if violations:
        raise violations[0] if len(violations) == 1 else RpcErrors(violations)
    data = call(session, request)
    return Reply() if data is None or not output.children else Reply(output, data)
