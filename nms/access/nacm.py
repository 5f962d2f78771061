"""The Network Configuration Access Control Model (RFC 8341), pure: rules in, decisions out.

`compile_policy` turns /nacm into a `Policy`, once per change of it; `Policy.view` gives what binds one principal.  A
view decides per schema node and remembers it, so that reading costs nothing where everything below a node is permitted
(the very same value comes back, its remembered encodings with it) and follows the data only where rules differ.

Interpretations: a node is hidden with all below it unless a permit rule's path leads on through it, then it shows the
way (list keys only); keys are shown with their entry; the `default-deny` extensions hold for descendants too; to delete
an instance, delete access to all that is in it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from nms.errors import RpcError
from nms.model import entries, tree
from nms.model.diff import Change
from nms.model.path import InstancePath, format_path, parse_path, quote
from nms.model.schema import Node, Schema
from nms.model.values import Key, Value

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
class Rule:
    """One rule (section 3.5.2): `name` of an rpc or notification, or `path` of a data node, as `kind` says."""

    kind: Literal["any", "rpc", "notification", "data"]
    module: str
    name: str
    path: InstancePath
    operations: frozenset[str] | None
    permit: bool


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
                path = parse_path(schema, _with_modules(schema, self.text.replace("$USER", quote(user))))
            except RpcError as error:
                raise RpcError("invalid-value", f"path of a NACM rule: {error.message}", path=self.where) from None
        return Rule(self.kind, self.module, self.text, path, self.operations, self.permit)


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


#: Per rule, how many steps of its path are matched: all of them = it applies here and below, -1 = never again.
_State = tuple[int, ...]


class View:
    """The decisions for one principal.  `free`: nothing binds it."""

    def __init__(self, policy: Policy, rules: Sequence[Rule], *, free: bool) -> None:
        self.free = free
        self._policy = policy
        self._rules = rules
        self._walks: dict[str, _Walk] = {}

    def _walk(self, operation: Operation) -> _Walk:
        walk = self._walks.get(operation)
        if walk is None:
            policy = self._policy
            default = {"read": policy.read_default, "exec": policy.exec_default}.get(operation, policy.write_default)
            denied = ("all",) if operation in ("read", "exec") else ("all", "write")
            rules = [r for r in self._rules if r.kind in ("any", "data") and _covers(r, operation)]
            walk = self._walks[operation] = _Walk(rules, default, denied)
        return walk

    def prune(self, root_node: Node, root: Value) -> Value:
        """What may be read of a datastore; the rest is silently left out (section 3.2.4)."""
        return root if self.free else self._walk("read").prune(root_node, root)

    def may_read(self, path: InstancePath) -> bool:
        """May the instance at `path` itself be read?"""
        return self.free or not path or self._walk("read").permits(path)

    def denied_write(self, changes: Iterable[Change]) -> InstancePath | None:
        """The first instance among `changes` that may not be changed, None if all may (section 3.2.5)."""
        if self.free:
            return None
        for change in changes:
            operation: Operation = "create" if change.old is None else "delete" if change.new is None else "update"
            value = change.old if operation == "delete" else change.new
            denied = self._walk(operation).first_denied(change.path, value, subtree=operation != "update")
            if denied is not None:
                return denied
        return None

    def may_execute(self, rpc: Node, path: InstancePath = ()) -> bool:
        """May the rpc, or the action on the instance at `path`, be invoked (section 3.4.4)?"""
        if self.free or (rpc.module, rpc.name) == ("ietf-netconf", "close-session"):
            return True
        if path:
            return self.may_read(path) and self._walk("exec").permits(path, rpc)
        return self._protocol(rpc, "rpc", "exec", self._policy.exec_default)

    def may_receive(self, notification: Node, path: InstancePath = ()) -> bool:
        """May the notification (of the instance at `path`) be sent to the principal (section 3.4.6)?"""
        if self.free or notification.name in ("replayComplete", "notificationComplete"):
            return True
        if path:
            return self._walk("read").permits(path, notification)
        return self._protocol(notification, "notification", "read", self._policy.read_default)

    def _protocol(self, node: Node, kind: str, operation: Operation, default: bool) -> bool:
        for rule in self._rules:
            named = rule.kind == "any" or (rule.kind == kind and rule.name in ("*", node.name))
            if named and rule.module in ("*", node.module) and _covers(rule, operation):
                return rule.permit
        return default and node.default_deny != "all" and (node.module, node.name) not in _SENSITIVE


def _covers(rule: Rule, operation: str) -> bool:
    return rule.operations is None or operation in rule.operations


class _Walk:
    """Data node decisions for one access operation (section 3.4.5), made while walking down a tree."""

    def __init__(self, rules: Sequence[Rule], default: bool, denied: tuple[str, ...]) -> None:
        self.rules = rules
        self.default = default
        self.denied = denied
        self.start: _State = (0,) * len(rules)
        self._verdicts: dict[tuple[Node, _State], str] = {}

    def _step(self, state: _State, node: Node, key: Key | None) -> _State:
        """The state one step down; `key` None stands for an entry that no rule names."""
        if not state:
            return state
        moved: list[int] = []
        for rule, position in zip(self.rules, state, strict=True):
            if 0 <= position < len(rule.path):
                wanted, wanted_key = rule.path[position]
                matched = wanted is node and (wanted_key is None or wanted_key == key)
                position = position + 1 if matched else -1
            moved.append(position)
        return tuple(moved)

    def _decide(self, node: Node, state: _State) -> bool:
        for rule, position in zip(self.rules, state, strict=True):
            if position == len(rule.path) and rule.module in ("*", node.module):
                return rule.permit
        return self.default and not any(n.default_deny in self.denied for n in node.ancestors())

    def _leads_on(self, state: _State, *, through: bool) -> bool:
        """Does a permit rule's path lead to somewhere below (`through`), or here or below?"""
        return any(
            rule.permit and rule.path and 0 <= position <= len(rule.path) - through
            for rule, position in zip(self.rules, state, strict=True)
        )

    def _named(self, state: _State, node: Node) -> set[Key]:
        """Keys of entries of `node` that rules name at this place."""
        return {
            rule.path[position][1]
            for rule, position in zip(self.rules, state, strict=True)
            if 0 <= position < len(rule.path) and rule.path[position][0] is node and rule.path[position][1] is not None
        }

    def _verdict(self, node: Node, state: _State) -> str:
        """For every instance of `node` in `state`: "all" of it is permitted, "none", or it is "mixed"."""
        known = self._verdicts.get((node, state))
        if known is None:
            known = self._verdicts[node, state] = self._judge(node, state)
        return known

    def _judge(self, node: Node, state: _State) -> str:
        if node.kind != "root" and not self._decide(node, state):
            return "mixed" if self._leads_on(state, through=True) else "none"
        for child in node.children:
            if child in node.keys:
                continue
            if self._named(state, child) or self._verdict(child, self._step(state, child, None)) != "all":
                return "mixed"
        return "all"

    # ------------------------------------------------------------ reading

    def prune(self, root_node: Node, root: Value) -> Value:
        """`root` without what is denied."""
        if self._verdict(root_node, self.start) == "all":
            return root
        return self._inside(root_node, root, self.start, False)

    def _inside(self, node: Node, value: Value, state: _State, passing: bool) -> Value:
        """The permitted children of an instance; `passing`: only those that a permit rule's path leads to."""
        slots: list[Value | None] = list(value)
        for child in node.children:
            held = value[child.index]
            if held is None or child in node.keys:
                continue
            if child.kind == "list":
                slots[child.index] = self._list(child, held, state, passing)
            else:
                slots[child.index] = self._instance(child, held, self._step(state, child, None), passing)
        return value if all(a is b for a, b in zip(slots, value, strict=True)) else tuple(slots)

    def _instance(self, node: Node, value: Value, state: _State, passing: bool) -> Value | None:
        """What is permitted of one container, leaf or list entry."""
        if passing and not self._leads_on(state, through=False):
            return None
        verdict = self._verdict(node, state)
        if verdict == "all":
            return value
        if verdict == "none" or node.kind not in ("container", "list"):
            return None
        decided = self._decide(node, state)
        inner = self._inside(node, value, state, not decided)
        if decided:
            return tree.close(node, inner)
        shown = [held for child, held in zip(node.children, inner, strict=True) if child not in node.keys]
        return inner if any(held is not None for held in shown) else None

    def _list(self, node: Node, held: entries.Entries, state: _State, passing: bool) -> Value | None:
        named = self._named(state, node)
        others = self._step(state, node, None)
        verdict = self._verdict(node, others)
        if passing and not self._leads_on(others, through=False):
            verdict = "none"
        if verdict == "all" and not named:
            return held
        if verdict == "none":
            if not named:
                return None
            found = {key: entries.get(held, key) for key in named}
            candidates: Iterable[tuple[Key, Value]] = [(k, v) for k, v in found.items() if v is not None]
            if node.user_ordered:
                candidates = [(k, v) for k, v in entries.items(held) if k in found]
            kept = ((k, self._instance(node, v, self._step(state, node, k), passing)) for k, v in candidates)
            pairs = [(k, v) for k, v in kept if v is not None]
            return entries.from_values(pairs, ordered=node.user_ordered) if pairs else None
        if verdict == "all":
            candidates = [(key, entry) for key in named if (entry := entries.get(held, key)) is not None]
        else:
            candidates = entries.items(held)
        changes: dict[Key, Value | None] = {}
        for key, entry in candidates:
            pruned = self._instance(node, entry, self._step(state, node, key), passing)
            if pruned is not entry:
                changes[key] = pruned
        result = entries.update(held, changes) if changes else held
        return result if entries.size(result) else None

    # ------------------------------------------------------------ one instance

    def _state_at(self, path: InstancePath) -> _State:
        state = self.start
        for node, key in path:
            state = self._step(state, node, key)
        return state

    def permits(self, path: InstancePath, below: Node | None = None) -> bool:
        """Is the instance at `path`, or the action or notification `below` it, permitted?"""
        state = self._state_at(path)
        return self._decide(below if below is not None else path[-1][0], state)

    def first_denied(self, path: InstancePath, value: Value, *, subtree: bool) -> InstancePath | None:
        """The first instance at (and, for a `subtree`, below) `path` that is not permitted."""
        state = self._state_at(path)
        node = path[-1][0]
        if not subtree:
            return None if self._decide(node, state) else path
        return self._search(node, value, state, path)

    def _search(self, node: Node, value: Value, state: _State, path: InstancePath) -> InstancePath | None:
        if self._verdict(node, state) == "all":
            return None
        if not self._decide(node, state):
            return path
        if node.kind not in ("container", "list"):
            return None
        for child in node.children:
            held = value[child.index]
            if held is None or child in node.keys:
                continue
            for step, inner in tree.members(child, held) if child.kind == "list" else [((child, None), held)]:
                denied = self._search(child, inner, self._step(state, *step), (*path, step))
                if denied is not None:
                    return denied
        return None


def access_denied(what: str, path: InstancePath = ()) -> RpcError:
    """The error for a refused request (section 3.4.4)."""
    where = format_path(path) if path else ""
    return RpcError("access-denied", f"access to {what} is denied", path=where)
