"""<get>, <get-config>, <get-data> and RESTCONF GET (RFC 6241 sections 7.1, 7.7; RFC 8526; RFC 8040 section 4.3).

NACM prunes before any filter looks, so that no filter can tell what is hidden; only the narrowing to one instance path
comes first, as it can say nothing but whether that instance exists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nms.errors import RpcError
from nms.model import defaults, entries, select, tree, xpath
from nms.model.cursor import follow
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.model.values import Value
from nms.operations.context import Context
from nms.operations.request import Filter, Get, PathFilter, Reply, Session, SubtreeFilter, XPathFilter


def get(context: Context, session: Session, request: Get) -> Reply:
    """The wanted part of a datastore as a tree from the schema's root.

    Depth counts from the instance of a PathFilter, else from the root, which is level 1.

    Raises:
        RpcError: invalid-value with status 404; the instance of a PathFilter does not exist (or is hidden).  The
            default in use of a leaf exists, and so does a container without presence below a parent that exists.
    """
    schema, guard = context.schema, context.guard
    path = request.filter.path if isinstance(request.filter, PathFilter) else ()
    etag, changed = guard.version(request.datastore, path)

    def shape(root: Value) -> Value:
        if request.with_defaults is not None:
            root = defaults.apply(schema, root, path, request.with_defaults)
        return select.path(schema, root, path) if path else root

    root = guard.read(session.principal, request.datastore, _wanted(request.filter), shape)
    if path and tree.get(root, path) is None:
        root = _unwritten(context, session, request.datastore, path, root)
    if request.content != "all":
        root = select.content(schema.root, root, request.content)
    root = _filter(context, root, request.filter)
    if request.depth is not None:
        levels = request.depth
        root = _within(schema.root, root, path, lambda node, value: select.depth(node, value, levels))
    return Reply(schema.root, root, etag=etag, last_modified=changed)


def _unwritten(context: Context, session: Session, datastore: str, path: InstancePath, root: Value) -> Value:
    """`root` with the default in use at `path` (RFC 8040 section 3.5.4); an empty container in use is there as it is.

    What is in use without being written is what XPath sees (RFC 7950 section 6.4.1), choices and `when` included.
    """
    schema, guard = context.schema, context.guard
    node, key = path[-1]
    if guard.may_read(session.principal, path) and node.kind in ("container", "leaf", "leaf-list") and key is None:
        top = xpath.root_cursor(schema, guard.store.root(datastore))
        if any(c.path()[:-1] == path[:-1] for c in follow(top, path, xpath.expressions(schema).evaluation())):
            return root if node.kind == "container" else tree.put(schema.root, root, path, node.default)
    raise RpcError("invalid-value", "there is no such instance", type="protocol", path=format_path(path), status=404)


def _filter(context: Context, root: Value, wanted: Filter | None) -> Value:
    match wanted:
        case SubtreeFilter(element):
            return select.subtree(context.schema, root, element)
        case XPathFilter(expression, namespaces):
            return select.xpath(context.schema, root, expression, namespaces)
        case PathFilter(path, fields) if fields:
            return _within(context.schema.root, root, path, lambda node, value: select.fields(node, value, fields))
    return root


def _within(root_node: Node, root: Value, path: InstancePath, change: Callable[[Node, Value], Value]) -> Value:
    """`root` with `change` done to the instance at `path`, or to each entry when it is a whole list."""
    if not path:
        return change(root_node, root)
    node, key = path[-1]
    held = tree.get(root, path)
    if held is None or node.kind not in ("container", "list"):
        return root
    if node.kind == "list" and key is None:
        changed = ((k, change(node, entry)) for k, entry in entries.items(held))
        return tree.put(root_node, root, path, entries.from_values(changed, ordered=node.user_ordered))
    return tree.put(root_node, root, path, change(node, held))


def _wanted(wanted: Filter | None) -> Callable[[Sequence[Node]], bool] | None:
    """Which computed state a filter can reach, by the first nodes of its route; None = all."""
    match wanted:
        case PathFilter(path) if path:
            nodes = [node for node, _ in path]
            return lambda route: all(a is b for a, b in zip(nodes, route, strict=False))
        case SubtreeFilter(element):
            tags = {child.tag for child in element}
            return lambda route: route[0].tag in tags or route[0].name in tags
    return None
