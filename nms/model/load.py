"""Loading YANG: a search path and a list of modules in, a compiled `Schema` out.

yangson parses and resolves (imports, groupings, augments, deviations, features, types, XPath; see
`nms.model.resolve`); here its result is turned into our nodes.  Which modules take part is `nms.model.library`'s
business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from yangson import DataModel, datatype
from yangson import exceptions as yangson_errors
from yangson import schemanode as yn
from yangson.enumerations import DefaultDeny

from nms.errors import ConfigError
from nms.model.library import PREFIX, Library, Source, standard_path
from nms.model.resolve import Model
from nms.model.schema import Choice, Kind, Module, Must, Names, Node, Schema, When, seal
from nms.model.type_compiler import compile_type
from nms.model.types import InvalidValue, Type, module_resolver
from nms.model.values import Value

#: What yangson raises, beside its own exceptions, on some modules that are not valid YANG (no such key leaf, a type
#: without an argument, a default where none may be).
_STUMBLES: Final = (AttributeError, KeyError, IndexError, TypeError, ValueError)


def load(path: Sequence[Path], modules: Sequence[str]) -> Schema:
    """Load `modules` from the folders of `path` and, after them, the standard modules' folders.

    Args:
        modules: each ``name``, ``name:feature,feature`` or ``name:*`` (all features).

    Raises:
        ConfigError: a module is missing, malformed or contradicts another one.
    """
    for folder in path:
        if not folder.is_dir():
            raise ConfigError(f"[yang] path: {folder} is not a folder")
    folders = (*path, *standard_path())
    library = Library(folders)
    for asked in modules:
        name, _, features = asked.partition(":")
        library.add(name, [f for f in features.split(",") if f], implement=True)
    try:
        return _Compiler(library, Model(library)).schema(tuple(map(str, folders)))
    except RecursionError:
        raise ConfigError(
            "the YANG modules do not fit together: a definition is part of itself; `nms model check` tells where"
        ) from None
    except (yangson_errors.YangsonException, *_STUMBLES) as error:
        raise ConfigError(
            f"the YANG modules do not fit together: {type(error).__name__}: {error}; `nms model check` tells where"
        ) from error


class _Compiler:
    """Turns yangson's schema nodes into ours."""

    def __init__(self, library: Library, model: DataModel) -> None:
        self.library = library
        self.data = model.schema_data
        self.model = model
        self.namespaces = {s.name: s.argument("namespace") for s in library.sources.values()}
        self.names = Names(self.namespaces, {uri: name for name, uri in self.namespaces.items()})
        self.types: dict[int, Type] = {}

    def schema(self, search_path: tuple[str, ...]) -> Schema:
        root = Node("root", "", "", "", None, self.names)
        self._fill(root, self.model.schema)
        rpcs: dict[tuple[str, str], Node] = {}
        notifications: dict[tuple[str, str], Node] = {}
        for source in self.model.schema.children:
            if isinstance(source, yn.RpcActionNode):
                rpcs[source.ns, source.name] = self._rpc(source, None, "rpc")
            elif isinstance(source, yn.NotificationNode):
                notifications[source.ns, source.name] = self._inner(source, None, "notification")
        modules = {s.name: self._module(s) for s in self.library.sources.values()}
        files = {(m.name, m.revision): m.file for m in modules.values()}
        files |= {(s.name, s.revision): s.file for subs in self.library.submodules.values() for s in subs}
        digest = hashlib.sha256()
        for module in sorted(modules.values(), key=lambda m: m.name):
            digest.update(repr((module.name, module.revision, module.features, module.implemented)).encode())
        return Schema(
            root=root,
            modules=modules,
            rpcs=rpcs,
            notifications=notifications,
            module_of_namespace=self.names.modules,
            identity_bases={f"{m}:{n}": frozenset(self._bases((n, m))) for n, m in self.data.identity_adjs},
            files=files,
            content_id=digest.hexdigest()[:32],
            search_path=search_path,
            data=self.data,
        )

    def _module(self, source: Source) -> Module:
        deviated_by = sorted(
            other.name
            for other in self.library.sources.values()
            if other.implemented and other is not source
            for deviation in other.statement.find_all("deviation")
            if _deviated(other, str(deviation.argument)) == source.name
        )
        return Module(
            name=source.name,
            revision=source.revision,
            namespace=source.argument("namespace"),
            prefix=source.argument("prefix"),
            implemented=source.implemented,
            features=tuple(sorted(source.features)),
            submodules=tuple((s.name, s.revision) for s in self.library.submodules[source.name]),
            deviations=tuple(dict.fromkeys(deviated_by)),
            file=source.file,
        )

    def _bases(self, identity: tuple[str, str]) -> set[str]:
        found: set[str] = set()
        for name, module in self.data.identity_adjs[identity].bases:
            found |= {f"{module}:{name}"} | self._bases((name, module))
        return found

    def _derived(self, bases: Sequence[tuple[str, str]]) -> set[str]:
        sets = [{f"{m}:{n}" for n, m in self.data.derived_from(base)} for base in bases]
        return set.intersection(*sets) if sets else set()

    def _type(self, source: Any) -> Type:
        found = self.types.get(id(source))
        if found is None:
            found = self.types[id(source)] = compile_type(source, self._derived)
        return found

    def _fill(self, node: Node, source: Any) -> None:
        """Compile the children of `source` into `node`, flattening choices and groups."""
        children: list[Node] = []
        choices: list[Choice] = []
        self._collect(node, source, (), (), children, choices)
        node.children = tuple(children)
        node.choices = tuple(choices)
        node.actions = tuple(
            self._rpc(c, node, "action")
            for c in _flat(source)
            if isinstance(c, yn.RpcActionNode) and node.kind in ("container", "list")
        )
        node.notifications = tuple(
            self._inner(c, node, "notification")
            for c in _flat(source)
            if isinstance(c, yn.NotificationNode) and node.kind in ("container", "list")
        )
        if node.kind == "list":
            by_name = {(c.name, c.module): c for c in children}
            node.keys = tuple(by_name[key] for key in source.keys)
        seal(node)
        if node.kind == "list":
            node.unique = tuple(tuple(_descend(node, path) for path in alternatives) for alternatives in source.unique)

    def _collect(
        self,
        parent: Node,
        source: Any,
        whens: tuple[When, ...],
        cases: tuple[tuple[Choice, str], ...],
        children: list[Node],
        choices: list[Choice],
    ) -> None:
        # yangson takes modules in the order of a set: ours are in the same one in every process
        for child in sorted(source.children, key=lambda c: str(c.ns)) if parent.kind == "root" else source.children:
            if isinstance(child, yn.ChoiceNode):
                own = (*whens, *_whens(child, on_parent=True))
                default = child.default_case[0] if child.default_case else None
                choice = Choice(child.name, child.ns, bool(child._mandatory), default, own, cases)
                choices.append(choice)
                for case in _cases(child):
                    choice.cases.setdefault(case.name, [])
                    inner = (*cases, (choice, case.name))
                    upto = (*own, *_whens_up(case, child))
                    self._collect(parent, case, upto, inner, children, choices)
            elif isinstance(child, yn.DataNode) and not isinstance(child, yn.InputNode | yn.OutputNode):
                node = self._data(child, parent, whens)
                node.cases = cases
                for choice, case_name in cases:
                    choice.cases[case_name].append(node)
                children.append(node)
            elif isinstance(child, yn.GroupNode) and not isinstance(child, yn.SchemaTreeNode):
                own = (*whens, *_whens(child, on_parent=True))
                self._collect(parent, child, own, cases, children, choices)

    def _new(self, source: Any, parent: Node | None, kind: Kind) -> Node:
        node = Node(kind, source.name, source.ns, self.namespaces[source.ns], parent, self.names)
        node.tag = f"{{{node.namespace}}}{node.name}"
        node.path = f"{parent.path if parent is not None else ''}/{node.module}:{node.name}"
        node.config = bool(source.config) and kind not in ("rpc", "action", "input", "output", "notification")
        node.description = source.description or ""
        node.status = _STATUS[source.status.value]
        node.default_deny = _DENY[getattr(source, "default_deny", DefaultDeny.none)]
        node.musts = tuple(
            Must(m.expression, m.error_message or "", m.error_tag if m.error_tag != "must-violation" else "")
            for m in source.must
        )
        return node

    def _inner(self, source: Any, parent: Node | None, kind: Kind) -> Node:
        node = self._new(source, parent, kind)
        self._fill(node, source)
        return node

    def _rpc(self, source: Any, parent: Node | None, kind: Kind) -> Node:
        node = self._new(source, parent, kind)
        node.children = tuple(
            self._inner(source.get_child(name), node, "input" if name == "input" else "output")
            for name in ("input", "output")
        )
        seal(node)
        return node

    def _data(self, source: Any, parent: Node, inherited: tuple[When, ...]) -> Node:
        node = self._new(source, parent, _KINDS[type(source)])
        node.whens = (*inherited, *_whens(source, on_parent=False))
        node.mandatory = bool(getattr(source, "_mandatory", False))
        if isinstance(source, yn.SequenceNode):
            node.min_elements = source.min_elements
            node.max_elements = source.max_elements
            node.user_ordered = source.user_ordered
        if isinstance(source, yn.TerminalNode):
            node.type = self._type(source.type)
            node.units = source.units or ""
            node.default = self._default(source, node.type)
        elif isinstance(source, yn.InternalNode):
            node.presence = bool(getattr(source, "presence", False))
            self._fill(node, source)
        return node

    def _default(self, source: Any, compiled: Type) -> Value | None:
        value = source.default
        if value is None or (isinstance(source, yn.LeafListNode) and source.min_elements):
            return None
        resolve = module_resolver(source.ns)
        try:
            if isinstance(source, yn.LeafListNode):
                return tuple(compiled.parse(_canonical(source.type, v), resolve) for v in value)
            return compiled.parse(_canonical(source.type, value), resolve)
        except InvalidValue as error:
            raise ConfigError(f"the default of {source.data_path()} does not fit its type: {error}") from None


def _deviated(source: Source, target: str) -> str | None:
    """The module whose node a deviation of `source` is about; None for its own."""
    prefix = PREFIX.findall(target.partition("/")[2].partition("/")[0])
    return source.prefixes().get(prefix[0]) if prefix else None


def _canonical(kind: Any, value: Any) -> str:
    """The text of a default that yangson has parsed; yangson itself stumbles over members of a union."""
    while isinstance(kind, datatype.LeafrefType):
        kind = kind.ref_type
    for member in kind.types if isinstance(kind, datatype.UnionType) else ():
        try:
            if value in member:
                return _canonical(member, value)
        except (TypeError, AttributeError):
            continue  # a value of another member
    return str(kind.canonical_string(value))


def _flat(source: Any) -> Iterator[Any]:
    for child in source.children:
        if isinstance(child, yn.GroupNode) and not isinstance(child, yn.SchemaTreeNode):
            yield from _flat(child)
        else:
            yield child


def _cases(choice: Any) -> Iterator[Any]:
    """The cases of a choice, those under an augment's group included."""
    for child in choice.children:
        if isinstance(child, yn.CaseNode):
            yield child
        else:
            yield from _cases(child)


def _whens(source: Any, *, on_parent: bool) -> tuple[When, ...]:
    return (When(source.when, on_parent),) if source.when is not None else ()


def _whens_up(case: Any, choice: Any) -> tuple[When, ...]:
    """The whens of a case and of the groups between it and its choice."""
    found: tuple[When, ...] = ()
    node = case
    while node is not choice:
        found += _whens(node, on_parent=True)
        node = node.parent
    return found


def _descend(node: Node, path: Any) -> tuple[Node, ...]:
    """The schema nodes along a descendant-schema-nodeid of `unique` (yangson parses it as a location path)."""
    steps: list[Any] = []
    queue = [path]
    while queue:
        expression = queue.pop(0)
        if hasattr(expression, "left"):
            queue[:0] = [expression.left, expression.right]
        else:
            steps.append(expression)
    names = [step.qname[0] for step in steps]
    nodes: list[Node] = []
    while names:
        for child in node.children:
            above = [name for choice, case in child.cases for name in (choice.name, case)]
            if names[: len(above) + 1] == [*above, child.name]:
                break
        else:
            raise ConfigError(f"unique of {node.path} names {names[0]!r}, which is no data node there")
        del names[: len(above) + 1]
        nodes.append(child)
        node = child
    return tuple(nodes)


_KINDS: dict[type, Kind] = {
    yn.ContainerNode: "container",
    yn.ListNode: "list",
    yn.LeafNode: "leaf",
    yn.LeafListNode: "leaf-list",
    yn.AnydataNode: "anydata",
    yn.AnyxmlNode: "anyxml",
}
_DENY: dict[DefaultDeny, Literal["none", "write", "all"]] = {
    DefaultDeny.none: "none",
    DefaultDeny.write: "write",
    DefaultDeny.all: "all",
}
_STATUS = {"+": "current", "x": "deprecated", "o": "obsolete"}
