"""YANG Patch (RFC 8072): the ordered edits of one PATCH, and what is said of each.  Pure.

A patch is decoded to one `Edit` per edit of the document, so that the core can do them in their order, all or none, and
name the one that failed.  Knows neither HTTP nor datastores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import orjson
from lxml import etree

from nms.errors import RpcError
from nms.model.edit import Edit, Insert, Op, at
from nms.model.path import InstancePath, format_path
from nms.model.schema import Schema
from restconf import body, errors, uri
from restconf.media import Encoding

NAMESPACE: Final = "urn:ietf:params:xml:ns:yang:ietf-yang-patch"
#: operation -> what the core does
_OPERATIONS: Final[Mapping[str, Op]] = {
    "create": "create",
    "delete": "delete",
    "insert": "create",
    "merge": "merge",
    "move": "none",
    "replace": "replace",
    "remove": "remove",
}
_WITH_VALUE: Final = frozenset({"create", "insert", "merge", "replace"})
_ORDERING: Final = frozenset({"insert", "move"})
_WHERE: Final = ("first", "last", "before", "after")
_LEAFS: Final = ("edit-id", "operation", "target", "point", "where")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One edit as it was sent; `value` is what the encoding has there, None without one."""

    leafs: Mapping[str, str]
    value: Any

    @property
    def id(self) -> str:
        return self.leafs["edit-id"]


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch; see `edits_of` for what it means."""

    id: str
    proposals: Sequence[Proposal]


@dataclass(slots=True)
class Status:
    """What became of a patch: yang-patch-status (RFC 8072 section 2.3).

    Attributes:
        done: edit-ids of the edits that were found right before one failed.
        failed: edit-id and errors of the edit that failed.
        general: errors that belong to no edit.
    """

    patch_id: str
    done: Sequence[str] = ()
    failed: tuple[str, Sequence[RpcError]] | None = None
    general: Sequence[RpcError] = field(default_factory=list)


class Failed(Exception):
    """A patch was refused; rendered as yang-patch-status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.patch_id)
        self.status = status

    @property
    def errors(self) -> Sequence[RpcError]:
        return self.status.failed[1] if self.status.failed is not None else self.status.general


# ---------------------------------------------------------------- the document


def decode(encoding: Encoding, content: bytes) -> Patch:
    """The patch of a body.

    Raises:
        RpcError: malformed-message, missing-element, unknown-element, invalid-value: the document is no patch.
    """
    patch = _from_json(content) if encoding == "json" else _from_xml(content)
    ids = [proposal.id for proposal in patch.proposals]
    if len(set(ids)) != len(ids):
        raise _wrong("bad-element", "two edits have the same edit-id", {"bad-element": "edit-id"})
    return patch


def _from_json(content: bytes) -> Patch:
    name, members = body.only_member(body.read_json(content))
    body.expect(name, "ietf-yang-patch:yang-patch")
    if not isinstance(members, dict) or not isinstance(members.get("edit", []), list):
        raise _wrong("malformed-message", "yang-patch is an object, edit in it an array")
    _known(members, ("patch-id", "comment", "edit"))
    proposals = []
    for edit in members.get("edit", []):
        if not isinstance(edit, dict):
            raise _wrong("malformed-message", "an edit is an object")
        _known(edit, (*_LEAFS, "value"))
        leafs: dict[str, str] = {leaf: _text(edit, leaf) for leaf in _LEAFS if leaf in edit}
        proposals.append(_proposal(leafs, edit.get("value")))
    return Patch(_patch_id(_text(members, "patch-id") if "patch-id" in members else None), proposals)


def _from_xml(content: bytes) -> Patch:
    root = body.read_xml(content)
    body.expect(str(root.tag), f"{{{NAMESPACE}}}yang-patch")
    patch_id = None
    proposals = []
    for element in root:
        name = _local(element, ("patch-id", "comment", "edit"))
        if name == "patch-id":
            patch_id = element.text or ""
        elif name == "edit":
            parts = {_local(part, (*_LEAFS, "value")): part for part in element}
            if len(parts) != len(element):
                raise _wrong("bad-element", "an edit has a leaf twice", {"bad-element": "edit"})
            leafs: dict[str, str] = {leaf: (parts[leaf].text or "").strip() for leaf in _LEAFS if leaf in parts}
            proposals.append(_proposal(leafs, parts.get("value")))
    return Patch(_patch_id(patch_id), proposals)


def _local(element: etree._Element, known: Sequence[str]) -> str:
    name = etree.QName(element)
    if name.namespace != NAMESPACE or name.localname not in known:
        raise _unknown(name.localname)
    return name.localname


def _known(members: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in members:
        if name not in known:
            raise _unknown(name)


def _text(members: Mapping[str, Any], name: str) -> str:
    if not isinstance(members[name], str):
        raise _wrong("invalid-value", f"{name} is a string")
    return cast(str, members[name])


def _patch_id(given: str | None) -> str:
    if given is None:
        raise _wrong("missing-element", "patch-id is missing", {"bad-element": "patch-id"})
    return given


def _proposal(leafs: Mapping[str, str], value: Any) -> Proposal:
    for name in ("edit-id", "operation", "target"):
        if name not in leafs:
            raise _wrong("missing-element", f"an edit has no {name}", {"bad-element": name})
    if leafs["operation"] not in _OPERATIONS:
        raise _wrong("invalid-value", f"operation {leafs['operation']!r} is none of {', '.join(_OPERATIONS)}")
    return Proposal(leafs, value)


def _unknown(name: str) -> RpcError:
    return _wrong("unknown-element", f"yang-patch has no {name!r} there", {"bad-element": name})


def _wrong(tag: str, message: str, info: Mapping[str, str] | None = None) -> RpcError:
    return RpcError(tag, message, type="protocol", info=info)


# ---------------------------------------------------------------- its meaning


def edits_of(schema: Schema, resource: str, patch: Patch) -> list[tuple[InstancePath, Edit]]:
    """The target and the edit of each edit of the patch, in their order.

    Args:
        resource: the target resource, still percent-encoded, below ``{+restconf}/data``.

    Raises:
        Failed: one of them is wrong in itself.
    """
    made: list[tuple[InstancePath, Edit]] = []
    for number, proposal in enumerate(patch.proposals):
        try:
            made.append(_edit(schema, resource.removesuffix("/"), proposal))
        except RpcError as error:
            done = [before.id for before in patch.proposals[:number]]
            raise Failed(Status(patch.id, done, (proposal.id, [error]))) from None
    return made


def _edit(schema: Schema, resource: str, proposal: Proposal) -> tuple[InstancePath, Edit]:
    operation = proposal.leafs["operation"]
    path = _instance(schema, resource, proposal.leafs["target"], "target")
    where = format_path(path)
    node, key = path[-1]
    if not node.config:
        raise RpcError("invalid-value", f"{node.name} is state, not configuration", path=where)
    if node.parent is not None and node in node.parent.keys:
        raise RpcError("invalid-value", f"{node.name} is a key: it says which entry it is, for good", path=where)
    if (proposal.value is not None) != (operation in _WITH_VALUE):
        needs = "needs a value" if operation in _WITH_VALUE else "has no value"
        raise RpcError("missing-element" if proposal.value is None else "bad-element", f"{operation} {needs}",
                       type="protocol", path=where, info={"bad-element": "value"})  # fmt: skip
    value = None
    if proposal.value is not None:
        body.refuse_empty_state(path[:-1], schema, proposal.value)
        given = body.child_of(path[:-1], schema, proposal.value)
        if given.node is not node or given.key != key:
            raise RpcError("invalid-value", "the value is not an instance of the target", type="protocol", path=where)
        value = given.value
    return path, at(path, _OPERATIONS[operation], value, _insert(schema, resource, proposal, path))


def _instance(schema: Schema, resource: str, offset: str, leaf: str) -> InstancePath:
    """The data resource at `offset` from the target resource (section 2.2, target-resource-offset)."""
    if not offset.startswith("/"):
        raise RpcError("invalid-value", f"{leaf} {offset!r} does not start with '/'", type="protocol")
    path = uri.parse_path(schema, resource if offset == "/" else resource + offset)
    if not path:
        raise RpcError("invalid-value", f"{leaf} '/' is the datastore: name a data node", type="protocol")
    node, key = path[-1]
    if node.kind == "action" or (node.kind in ("list", "leaf-list") and key is None):
        raise RpcError("invalid-value", f"{leaf} must name one instance", type="protocol", path=format_path(path))
    return path


def _insert(schema: Schema, resource: str, proposal: Proposal, path: InstancePath) -> Insert | None:
    operation, given, point = (proposal.leafs.get(name) for name in ("operation", "where", "point"))
    if operation not in _ORDERING:
        for name in ("where", "point"):
            if name in proposal.leafs:
                raise _wrong("bad-element", f"{name} is for insert and move", {"bad-element": name})
        return None
    where = given or "last"
    if where not in _WHERE:
        raise _wrong("invalid-value", f"where {where!r} is none of {', '.join(_WHERE)}")
    if not path[-1][0].user_ordered:
        raise RpcError("invalid-value", f"{path[-1][0].name} is not ordered-by user", path=format_path(path))
    if (where in ("before", "after")) != (point is not None):
        text = "point is needed with before and after, and with nothing else"
        raise _wrong("missing-element" if point is None else "bad-element", text, {"bad-element": "point"})
    if point is None:
        return Insert(where)  # type: ignore[arg-type]
    beside = _instance(schema, resource, point, "point")
    if beside[:-1] != path[:-1] or beside[-1][0] is not path[-1][0]:
        raise RpcError("invalid-value", "point is not beside the target", type="protocol", path=format_path(beside))
    return Insert(where, beside[-1][1])  # type: ignore[arg-type]


def refused(patch: Patch, targets: Sequence[InstancePath], failures: Sequence[RpcError]) -> Failed:
    """What the core's errors say of which edit: the one it names, else the last one whose target they lie in."""
    first = failures[0]
    number = first.edit
    if number is None:
        within = [
            n
            for n, path in enumerate(targets)
            if first.path == (where := format_path(path)) or first.path.startswith((where + "/", where + "["))
        ]
        number = within[-1] if within else None
    if number is None:
        return Failed(Status(patch.id, general=failures))
    done = [proposal.id for proposal in patch.proposals[:number]]
    return Failed(Status(patch.id, done, (patch.proposals[number].id, failures)))


# ---------------------------------------------------------------- the answer


def encode(status: Status, encoding: Encoding, namespaces: Mapping[str, str]) -> bytes:
    """yang-patch-status."""
    return _to_json(status) if encoding == "json" else _to_xml(status, namespaces)


def _to_json(status: Status) -> bytes:
    members: dict[str, Any] = {"patch-id": status.patch_id}
    if status.failed is not None:
        edit_id, failures = status.failed
        edits: list[dict[str, Any]] = [{"edit-id": done, "ok": [None]} for done in status.done]
        edits.append({"edit-id": edit_id, "errors": errors.as_json(failures)})
        members["edit-status"] = {"edit": edits}
    elif status.general:
        members["errors"] = errors.as_json(status.general)
    else:
        members["ok"] = [None]
    return orjson.dumps({"ietf-yang-patch:yang-patch-status": members})


def _to_xml(status: Status, namespaces: Mapping[str, str]) -> bytes:
    root = etree.Element(f"{{{NAMESPACE}}}yang-patch-status", nsmap={None: NAMESPACE})
    _leaf(root, "patch-id", status.patch_id)
    if status.failed is not None:
        edit_id, failures = status.failed
        edits = etree.SubElement(root, f"{{{NAMESPACE}}}edit-status")
        for done in status.done:
            edit = etree.SubElement(edits, f"{{{NAMESPACE}}}edit")
            _leaf(edit, "edit-id", done)
            _leaf(edit, "ok")
        edit = etree.SubElement(edits, f"{{{NAMESPACE}}}edit")
        _leaf(edit, "edit-id", edit_id)
        edit.append(errors.as_xml(failures, namespaces, NAMESPACE))
    elif status.general:
        root.append(errors.as_xml(status.general, namespaces, NAMESPACE))
    else:
        _leaf(root, "ok")
    return etree.tostring(root)


def _leaf(parent: etree._Element, name: str, text: str | None = None) -> None:
    etree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = errors.printable(text) if text is not None else None
