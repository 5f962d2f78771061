"""The Network Configuration Access Control Model (RFC 8341), pure: rules in, decisions out.

`compile_policy` turns /nacm into a `Policy`, once per change of it; `Policy.view` gives what binds one principal.  A
view decides per schema node and remembers it, so that reading costs nothing where everything below a node is permitted
(the very same value comes back, its remembered encodings with it) and follows the data only where rules differ.

How rules meet data nodes is in `nms.access.walk`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from nms.access.walk import Rule, Walk
from nms.errors import RpcError
from nms.model import entries
from nms.model.diff import Change
from nms.model.path import InstancePath, format_path, parse_path, quote
from nms.model.schema import Node, Schema
from nms.model.values import Value

Operation = Literal["create", "read", "update", "delete", "exec"]
MODULE: Final = "ietf-netconf-acm"
#: Denied where no rule permits them (section 3.4.4 step 10); ietf-netconf itself does not say so.
_SENSITIVE: Final = frozenset({("ietf-netconf", "kill-session"), ("ietf-netconf", "delete-config")})


class Principal(Protocol):
    """Who asks: `nms.operations.request.Principal` is one."""

    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> frozenset[str]: ...
    @property
    def recovery(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class _RuleText:
    """A rule whose path may still name $USER."""

    kind: Literal["any", "rpc", "notification", "data"]
    module: str
    text: str
    operations: frozenset[str] | None
    permit: bool
    where: str

    def resolve(self, schema: Schema, user: str) -> Rule:
        path: InstancePath = ()
        if self.kind == "data":
            try:
                path = _node_path(schema, _with_modules(schema, self.text.replace("$USER", quote(user))))
            except RpcError as error:
                raise RpcError("invalid-value", f"path of a NACM rule: {error.message}", path=self.where) from None
        return Rule(self.kind, self.module, self.text, path, self.operations, self.permit)


def _node_path(schema: Schema, text: str) -> InstancePath:
    """The data node, action or notification that a rule's path names (section 3.5.2).

    Raises:
        RpcError: invalid-value; there is none.
    """
    try:
        return parse_path(schema, text)
    except RpcError:
        above, _, name = text.rpartition("/")
        path = parse_path(schema, above) if above else ()
        inner = (*path[-1][0].actions, *path[-1][0].notifications) if path else ()
        found = next((node for node in inner if name in (node.name, f"{node.module}:{node.name}")), None)
        if found is None:
            raise
        return (*path, (found, None))


_PREFIX: Final = re.compile(r"'[^']*'|\"[^\"]*\"|([A-Za-z_][\w.-]*):")


def _with_modules(schema: Schema, text: str) -> str:
    """The path with module names for prefixes: a module's name, else the prefix its own source declares.

    The value is a plain string, so the prefixes that were in scope where it was written are not known any more.
    """
    declared = {module.prefix: module.name for module in schema.modules.values()}

    def replace(match: re.Match[str]) -> str:
        prefix = match[1]
        return match[0] if prefix is None or prefix in schema.modules else declared.get(prefix, prefix) + ":"

    return _PREFIX.sub(replace, text)


@dataclass(slots=True)
class Policy:
    """/nacm as it binds everybody."""

    schema: Schema
    enabled: bool = False
    read_default: bool = True
    write_default: bool = False
    exec_default: bool = True
    external_groups: bool = True
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    rule_lists: list[tuple[frozenset[str], list[_RuleText]]] = field(default_factory=list)

    def view(self, principal: Principal) -> View:
        """What binds `principal` (section 3.4.1: groups, then the rule-lists that name one of them)."""
        if principal.recovery or not self.enabled:
            return View(self, (), free=True)
        groups = {group for group, users in self.members.items() if principal.name in users}
        if self.external_groups:
            groups |= principal.groups
        rules = [
            text.resolve(self.schema, principal.name)
            for named, texts in self.rule_lists
            if "*" in named or named & groups
            for text in texts
        ]
        # Section 3.4.4 step 2: a user in no group is bound by the defaults alone.
        return View(self, rules if groups else (), free=False)


def compile_policy(schema: Schema, root: Value) -> Policy:
    """The policy in the configuration `root`; without the module ietf-netconf-acm nobody is bound.

    Raises:
        RpcError: invalid-value; the path of a rule names no data node of the schema.
    """
    node = schema.root.child("nacm", MODULE)
    if node is None:
        return Policy(schema)
    read = _Reader(node, root[node.index])
    policy = Policy(
        schema,
        enabled=read.leaf("enable-nacm", True),
        read_default=read.leaf("read-default", "permit") == "permit",
        write_default=read.leaf("write-default", "deny") == "permit",
        exec_default=read.leaf("exec-default", "permit") == "permit",
        external_groups=read.leaf("enable-external-groups", True),
    )
    for group in read.inner("groups").entries("group"):
        policy.members[group.leaf("name", "")] = frozenset(group.leaf("user-name", ()))
    for rule_list in read.entries("rule-list"):
        name = rule_list.leaf("name", "")
        texts = [_rule(rule, name) for rule in rule_list.entries("rule")]
        for text in texts:
            text.resolve(schema, "user")
        policy.rule_lists.append((frozenset(rule_list.leaf("group", ())), texts))
    return policy


@dataclass(frozen=True, slots=True)
class _Reader:
    """Instances by name; a missing one reads as empty."""

    node: Node
    value: Value | None

    def _child(self, name: str) -> tuple[Node, Value | None]:
        child = self.node.child(name)
        assert child is not None
        return child, self.value[child.index] if self.value is not None else None

    def leaf(self, name: str, default: Value) -> Value:
        value = self._child(name)[1]
        return default if value is None else value

    def inner(self, name: str) -> _Reader:
        return _Reader(*self._child(name))

    def entries(self, name: str) -> Iterable[_Reader]:
        child, held = self._child(name)
        return [_Reader(child, entry) for entry in entries.values(held)] if held is not None else []


def _rule(read: _Reader, rule_list: str) -> _RuleText:
    named = {
        "rpc": read.leaf("rpc-name", None),
        "notification": read.leaf("notification-name", None),
        "data": read.leaf("path", None),
    }
    kind, text = next(((k, t) for k, t in named.items() if t is not None), ("any", ""))
    operations = read.leaf("access-operations", "*")
    return _RuleText(
        kind,  # type: ignore[arg-type]
        read.leaf("module-name", "*"),
        str(text),
        None if operations == "*" else frozenset(str(operations).split()),
        read.leaf("action", "deny") == "permit",
        f"/{MODULE}:nacm/{MODULE}:rule-list[{MODULE}:name={quote(rule_list)}]"
        f"/{MODULE}:rule[{MODULE}:name={quote(read.leaf('name', ''))}]/{MODULE}:path",
    )


class View:
    """The decisions for one principal.  `free`: nothing binds it."""

    def __init__(self, policy: Policy, rules: Sequence[Rule], *, free: bool) -> None:
        self.free = free
        self._policy = policy
        self._rules = rules
        self._walks: dict[str, Walk] = {}

    def _walk(self, operation: Operation) -> Walk:
        walk = self._walks.get(operation)
        if walk is None:
            policy = self._policy
            default = {"read": policy.read_default, "exec": policy.exec_default}.get(operation, policy.write_default)
            denied = ("all",) if operation in ("read", "exec") else ("all", "write")
            rules = [r for r in self._rules if r.kind in ("any", "data") and _covers(r, operation)]
            walk = self._walks[operation] = Walk(rules, default, denied)
        return walk

    def sees_all(self, root_node: Node) -> bool:
        """Is nothing ever left out by `prune`?"""
        return self.free or self._walk("read").permits_all(root_node)

    def prune(self, root_node: Node, root: Value) -> Value:
        """What may be read of a datastore; the rest is silently left out (section 3.2.4)."""
        return root if self.free else self._walk("read").prune(root_node, root)

    def may_read(self, path: InstancePath) -> bool:
        """May the instance at `path` itself be read?"""
        return self.free or not path or self._walk("read").permits(path)

    def _may_read_down_to(self, path: InstancePath) -> bool:
        """May the instance at `path` be read, and is the way to it shown (section 3.1.3)?"""
        return self._walk("read").reaches(path)

    def denied_write(self, changes: Iterable[Change]) -> InstancePath | None:
        """The first instance among `changes` that may not be changed, None if all may (section 3.2.5)."""
        if self.free:
            return None
        for change in changes:
            for operation, path, value in _accesses(change):
                denied = self._walk(operation).first_denied(path, value, subtree=operation != "update")
                if denied is not None:
                    return denied
        return None

    def may_execute(self, rpc: Node, path: InstancePath = ()) -> bool:
        """May the rpc, or the action on the instance at `path`, be invoked (section 3.4.4)?"""
        if self.free or (rpc.module, rpc.name) == ("ietf-netconf", "close-session"):
            return True
        if path:
            return self._may_read_down_to(path) and self._walk("exec").permits(path, rpc)
        return self._protocol(rpc, "rpc", "exec", self._policy.exec_default)

    def may_receive(self, notification: Node, path: InstancePath = ()) -> bool:
        """May the notification (of the instance at `path`) be sent to the principal (section 3.4.6)?"""
        if self.free or notification.name in ("replayComplete", "notificationComplete"):
            return True
        if path:
            return self._may_read_down_to(path) and self._walk("read").permits(path, notification)
        return self._protocol(notification, "notification", "read", self._policy.read_default)

    def _protocol(self, node: Node, kind: str, operation: Operation, default: bool) -> bool:
        for rule in self._rules:
            named = rule.kind == "any" or (rule.kind == kind and rule.name in ("*", node.name))
            if named and rule.module in ("*", node.module) and _covers(rule, operation):
                return rule.permit
        return default and node.default_deny != "all" and (node.module, node.name) not in _SENSITIVE


def _accesses(change: Change) -> Iterator[tuple[Operation, InstancePath, Value]]:
    """What a change does to which instance.  Each value of a leaf-list is one; another order of them is an update."""
    above, (node, key) = change.path[:-1], change.path[-1]
    if node.kind == "leaf-list" and key is None:
        old, new = set(change.old or ()), set(change.new or ())
        yield from (("create", (*above, (node, value)), value) for value in change.new or () if value not in old)
        yield from (("delete", (*above, (node, value)), value) for value in change.old or () if value not in new)
        if old == new:
            yield "update", change.path, change.new
    elif change.old is None:
        yield "create", change.path, change.new
    elif change.new is None:
        yield "delete", change.path, change.old
    else:
        yield "update", change.path, change.new


def _covers(rule: Rule, operation: str) -> bool:
    return rule.operations is None or operation in rule.operations


def access_denied(what: str, path: InstancePath = ()) -> RpcError:
    """The error for a refused request (section 3.4.4)."""
    where = format_path(path) if path else ""
    return RpcError("access-denied", f"access to {what} is denied", path=where)
