"""<get>, <get-config>, <get-data> and RESTCONF GET (RFC 6241 sections 7.1, 7.7; RFC 8526; RFC 8040 section 4.3).

NACM prunes before any filter looks, so that no filter can tell what is hidden; only the narrowing by paths and keys
comes first, so that what is not asked for need not be pruned.  The filter looks again at what pruning has left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import is_
from typing import Any, TypeAlias

from nms.errors import RpcError
from nms.model import defaults, entries, origins, select, subtree, tree, xpath
from nms.model.annotated import Basis
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.model.values import Value
from nms.model.work import Work
from nms.operations.context import Context
from nms.operations.request import Get, Page, PathFilter, Reply, Session, SubtreeFilter, XPathFilter

_Shape: TypeAlias = Callable[[Value], Value]
_Filter: TypeAlias = subtree.Selection | XPathFilter | PathFilter


def get(context: Context, session: Session, request: Get) -> Reply:
    """The wanted part of a datastore as a tree from the schema's root.

    Depth counts from the instance of a PathFilter or from its fields, from each instance that another filter selects,
    else from the root; it is level 1.

    Raises:
        RpcError: invalid-value; with_origin is for operational only (RFC 8526 section 3.1.1).  With status 404: the
            instance of a PathFilter does not exist (or is hidden).  The default in use of a leaf exists, and so does a
            container without presence below a parent that exists.
    """
    schema, guard = context.schema, context.guard
    wanted, mode = request.filter, request.with_defaults
    if isinstance(wanted, SubtreeFilter):
        wanted = subtree.compile(schema.root, wanted.element, request.depth)
    path = wanted.path if isinstance(wanted, PathFilter) else ()
    if request.with_origin and request.datastore != "operational":
        raise RpcError("invalid-value", "with-origin is for operational only", type="protocol")
    # A client's filter makes no resource, so what it selects has no entity-tag.
    tagged = wanted is None or isinstance(wanted, PathFilter)
    etag, changed, settled = _version(context, request, path) if tagged else ("", None, False)
    narrow, choose = _selection(context, wanted, request.depth)
    spared = bool(path) or (mode is None and not guard.sees_all(session.principal))
    explicit: Value | None = None

    def shape(root: Value) -> Value:
        nonlocal explicit
        explicit = root
        if mode is not None:
            root = defaults.apply(schema, root, path, "report-all" if mode == "report-all-tagged" else mode)
            if request.datastore != "operational":  # which has no state, and no defaults of state
                root = select.content(schema.root, root, "config")
        return narrow(root) if spared else root

    reach = _reach(wanted) if request.datastore == "operational" else None
    root = guard.read(session.principal, request.datastore, reach, shape)
    if path and tree.get(root, path) is None:
        root = _unwritten(context, session, request.datastore, path, root)
    if request.page is not None:
        root = _paged(schema.root, root, path, request.page)
    if request.content == "nonconfig" or (request.content == "config" and request.datastore == "operational"):
        root = select.content(schema.root, root, request.content)
    intended = guard.store.root("intended") if request.with_origin or request.origins is not None else None
    if request.origins is not None:
        root = origins.of(schema.root, root, Basis(explicit, intended, origins=True), request.origins)
    root = choose(root)
    if request.depth is not None and tagged and not (isinstance(wanted, PathFilter) and wanted.fields):
        levels = request.depth
        root = _within(schema.root, root, path, lambda node, value: select.depth(node, value, levels))
    marked = mode == "report-all-tagged"
    basis = None
    if marked or request.with_origin:
        basis = Basis(explicit, intended, marked, request.with_origin)
    return Reply(schema.root, root, basis, etag=etag, last_modified=changed, settled=settled)


def _version(context: Context, request: Get, path: InstancePath) -> tuple[str, datetime | None, bool]:
    """Entity-tag and time of change, taken before reading, and whether all that is read changes with them.

    Those of configuration say nothing of the state below it (RFC 8040 section 3.5.2), or no client could edit what it
    has read; state that is computed at each read has none.
    """
    guard = context.guard
    node = path[-1][0] if path else context.schema.root
    if not node.config:
        computed = request.datastore == "operational" and guard.computes(tree.route(node))
        return ("", None, False) if computed else (*guard.version(request.datastore, path), True)
    version = guard.version(request.edited or request.datastore, path)
    return *version, not node.holds_state or request.content == "config"


def _selection(context: Context, wanted: _Filter | None, levels: int | None) -> tuple[_Shape, _Shape]:
    """How a filter narrows the root of a datastore before pruning, and what it selects of it after.

    Args:
        levels: of each instance that a filter selects, of each of the fields wherever they are (RFC 8040 section
            4.8.2); None: all.
    """
    schema = context.schema
    match wanted:
        case subtree.Selection() as selection:
            return selection.narrow, lambda root: selection.of(root, Work(context.limits.filter_work))
        case XPathFilter(path=way) if way is not None:
            return lambda root: select.path(schema, root, way), lambda root: select.path(schema, root, way, levels)
        case XPathFilter(expression, namespaces):
            work = context.limits.filter_work
            return _all, lambda root: select.xpath(schema, root, expression, namespaces, levels, work)
        case PathFilter(path, fields) if fields:
            return (
                lambda root: select.path(schema, root, path),
                lambda root: _within(schema.root, root, path, lambda n, value: select.fields(n, value, fields, levels)),
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
    node, where = path[-1][0], format_path(path)
    if context.guard.may_read(session.principal, path) and _in_use(context, datastore, path):
        return root if node.kind == "container" else tree.put(context.schema.root, root, path, node.default)
    raise RpcError("invalid-value", "there is no such instance", type="protocol", path=where, status=404)


def _in_use(context: Context, datastore: str, path: InstancePath) -> bool:
    """Is there, written or not, an instance at `path` as far as XPath sees?"""
    node, key = path[-1]
    if key is not None or node.kind not in ("container", "leaf", "leaf-list"):
        return False
    prefixes = {module.name: module.namespace for module in context.schema.modules.values()}
    seen = xpath.compile_text(context.schema, format_path(path), prefixes).nodeset(context.guard.store.root(datastore))
    return any(found[:-1] == path[:-1] for found in seen)


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
        ordered = isinstance(held, entries.Ordered)
        return tree.put(root_node, root, path, entries.from_values(changed, ordered=ordered))
    return tree.put(root_node, root, path, change(node, held))


def _paged(root_node: Node, root: Value, path: InstancePath, page: Page) -> Value:
    """`root` with only the entries of the list at `path` that are on the page, in its direction.

    Raises:
        RpcError: invalid-value (app-tag offset-out-of-range); the list is shorter than the offset.
    """
    node = path[-1][0]
    held = tree.get(root, path)
    assert held is not None  # or `_unwritten` would have refused
    found: list[tuple[Any, Any]] = list(entries.items(held)) if node.kind == "list" else [(None, v) for v in held]
    if page.offset > len(found):
        text = f"offset {page.offset} is beyond the {len(found)} instances of {node.name}"
        raise RpcError("invalid-value", text, app_tag="offset-out-of-range", path=format_path(path))
    if page.backwards:
        found.reverse()
    shown = found[page.offset :][: page.limit]
    if node.kind == "leaf-list":
        return tree.put(root_node, root, path, tuple(value for _, value in shown) or None)
    return tree.put(root_node, root, path, entries.from_values(shown, ordered=True) if shown else None)


def _reach(wanted: _Filter | None) -> Callable[[Sequence[Node]], bool] | None:
    """Which computed state a filter can reach, by the first nodes of its route; None = all."""
    match wanted:
        case subtree.Selection(parts=parts):
            tops = {part.node for part in parts}
            return lambda route: route[0] in tops
        case PathFilter(path=path) | XPathFilter(path=path) if path:
            nodes = [node for node, _ in path]
            return lambda route: route[0] is nodes[0] and all(map(is_, nodes, route))
    return None
