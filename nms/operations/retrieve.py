"""<get>, <get-config>, <get-data> and RESTCONF GET (RFC 6241 sections 7.1, 7.7; RFC 8526; RFC 8040 section 4.3).

NACM prunes before any filter looks, so that no filter can tell what is hidden; only the narrowing by paths and keys
comes first, so that what is not asked for need not be pruned.  The filter looks again at what pruning has left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from nms.errors import RpcError
from nms.model import defaults, entries, select, subtree, tree, xpath
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.model.values import Value
from nms.operations.context import Context
from nms.operations.request import Filter, Get, PathFilter, Reply, Session, SubtreeFilter, XPathFilter

_Shape: TypeAlias = Callable[[Value], Value]


def get(context: Context, session: Session, request: Get) -> Reply:
    """The wanted part of a datastore as a tree from the schema's root.

    Depth counts from the instance of a PathFilter, else from the root, which is level 1.

    Raises:
        RpcError: invalid-value with status 404; the instance of a PathFilter does not exist (or is hidden).  The
            default in use of a leaf exists, and so does a container without presence below a parent that exists.
    """
    schema, guard = context.schema, context.guard
    wanted, mode = request.filter, request.with_defaults
    path = wanted.path if isinstance(wanted, PathFilter) else ()
    # A client's filter makes no resource, so what it selects has no entity-tag.
    tagged = wanted is None or isinstance(wanted, PathFilter)
    etag, changed = guard.version(request.datastore, path) if tagged else ("", None)
    narrow, choose = _selection(context, wanted)
    spared = bool(path) or (mode is None and not guard.sees_all(session.principal))

    def shape(root: Value) -> Value:
        if spared:
            root = narrow(root)
        if mode is not None:
            root = _within(schema.root, root, path, lambda node, value: defaults.apply(node, value, mode))
        return root

    reach = _reach(wanted) if request.datastore == "operational" else None
    root = guard.read(session.principal, request.datastore, reach, shape)
    if path and tree.get(root, path) is None:
        root = _unwritten(context, session, request.datastore, path, root)
    if request.content == "nonconfig" or (request.content == "config" and request.datastore == "operational"):
        root = select.content(schema.root, root, request.content)
    root = choose(root)
    if request.depth is not None:
        levels = request.depth
        root = _within(schema.root, root, path, lambda node, value: select.depth(node, value, levels))
    return Reply(schema.root, root, etag=etag, last_modified=changed)


def _selection(context: Context, wanted: Filter | None) -> tuple[_Shape, _Shape]:
    """How a filter narrows the root of a datastore before pruning, and what it selects of it after."""
    schema = context.schema
    match wanted:
        case SubtreeFilter(element):
            selection = subtree.compile(schema.root, element)
            return selection.narrow, selection.of
        case XPathFilter(path=way) if way is not None:
            return (lambda root: select.path(schema, root, way),) * 2
        case XPathFilter(expression, namespaces):
            return _all, lambda root: select.xpath(schema, root, expression, namespaces)
        case PathFilter(path, fields) if fields:
            return (
                lambda root: select.path(schema, root, path),
                lambda root: _within(schema.root, root, path, lambda node, value: select.fields(node, value, fields)),
            )
        case PathFilter(path):
            return lambda root: select.path(schema, root, path), _all
    return _all, _all


def _all(root: Value) -> Value:
    return root


def _unwritten(context: Context, session: Session, datastore: str, path: InstancePath, root: Value) -> Value:
    """`root` with the default in use at `path` (RFC 8040 section 3.5.4); an empty container in use is there as it is.

    What is in use without being written is what XPath sees (RFC 7950 section 6.4.1), choices and `when` included.
    """
    schema, guard = context.schema, context.guard
    node, where = path[-1][0], format_path(path)
    prefixes = {module.name: module.namespace for module in schema.modules.values()}
    if guard.may_read(session.principal, path) and node.kind in ("container", "leaf", "leaf-list"):
        seen = xpath.compile_text(schema, where, prefixes).nodeset(guard.store.root(datastore))
        if path[-1][1] is None and any(found[:-1] == path[:-1] for found in seen):
            return root if node.kind == "container" else tree.put(schema.root, root, path, node.default)
    raise RpcError("invalid-value", "there is no such instance", type="protocol", path=where, status=404)


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


def _reach(wanted: Filter | None) -> Callable[[Sequence[Node]], bool] | None:
    """Which computed state a filter can reach, by the first nodes of its route; None = all."""
    match wanted:
        case SubtreeFilter(element):
            tags = {child.tag for child in element}
            return lambda route: route[0].tag in tags or route[0].name in tags
        case PathFilter(path=path) | XPathFilter(path=path) if path:
            nodes = [node for node, _ in path]
            return lambda route: all(a is b for a, b in zip(nodes, route, strict=False))
    return None
