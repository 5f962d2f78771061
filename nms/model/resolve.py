"""yangson's data model, completed: statements in any order, deviations whole, leafrefs that lead somewhere.

What a module says stands wherever its author put it (RFC 7950 sections 7.17, 7.20.3 and 9.9); yangson minds the order
here and there.  What comes out is turned into our nodes by `nms.model.load`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from functools import lru_cache
from typing import Any

from yangson import DataModel, constraint, datatype
from yangson import schemanode as yn
from yangson.enumerations import ContentType
from yangson.schemadata import SchemaContext, SchemaData
from yangson.statement import Statement

from nms.errors import ConfigError
from nms.model.library import PREFIX, Library

# Translating \p{...} takes milliseconds, and few patterns stand in a thousand types: each is translated once.
constraint.translate_pattern = lru_cache(1000)(constraint.translate_pattern)


class Model(DataModel):  # type: ignore[misc] # yangson is not typed
    """yangson's data model, where the order of statements does not matter (RFC 7950 sections 7.17 and 9.9)."""

    def __init__(self, library: Library) -> None:
        self.yang_library = library.as_yangson()
        self.schema_data = _Parsed(self.yang_library, library.statements())
        self.schema = yn.SchemaTreeNode(self.schema_data)
        self.schema._ctype = ContentType.all
        self._build_schema()

    def _build_schema(self) -> None:
        data = self.schema_data
        for mid, module in data.modules.items():
            _end_of_typedefs(module.statement, SchemaContext(data, data.namespace(mid), mid))
        sources = [
            (data.modules[mid].statement, SchemaContext(data, data.namespace(mid), mid))
            for mid in data._module_sequence
        ]
        for statement, context in sources:
            self.schema._handle_substatements(statement, context)
        pending = [(augment, context) for s, context in sources for augment in s.find_all("augment")]
        while pending:
            # An augment whose target another one brings has to wait for it; yangson itself would drop it.
            ready = [(a, c) for a, c in pending if self._target(a, c)] or pending
            for augment, context in ready:
                self.schema._augment_stmt(augment, context)
            pending = [both for both in pending if both not in ready]
        for statement, context in sources:
            for deviation in statement.find_all("deviation"):
                self.schema._deviation_stmt(deviation, context)
                self._delete(deviation, context)
        # A leafref's default needs the type at the end of its chain, which may not have had its turn.
        for node in _terminals(self.schema):
            _resolve(node)
        for node in _terminals(self.schema):
            _end(node, node.type, ())
        for node in _terminals(self.schema):
            for kind in _leafrefs(node.type):
                kind.ref_type = _in_context(kind.ref_type, kind.sctx)
                kind._post_process = _done  # yangson would find the target's own type again
        self.schema._post_process()

    def _target(self, statement: Any, context: SchemaContext) -> Any:
        return self.schema.get_schema_descendant(self.schema_data.sni2route(statement.argument, context))

    def _delete(self, deviation: Any, context: SchemaContext) -> None:
        """Uniques and a leaf-list's defaults that a deviation deletes; yangson misses them (section 7.20.3.2)."""
        target = self._target(deviation, context)
        for deviate in deviation.find_all("deviate"):
            if deviate.argument != "delete" or not isinstance(target, yn.SequenceNode):
                continue
            for unique in deviate.find_all("unique"):
                gone = _local(target._parse_unique(unique, context))
                target.unique = [paths for paths in target.unique if _local(paths) != gone]
            if isinstance(target, yn.LeafListNode) and target._default is not None:
                texts = {default.argument for default in deviate.find_all("default")}
                target._default = [text for text in target._default if text not in texts] or None


class _Parsed(SchemaData):  # type: ignore[misc]
    """yangson's repository, of modules that are read already."""

    def __init__(self, yang_library: Mapping[str, Any], statements: Mapping[str, Statement]) -> None:
        self._statements = statements
        super().__init__(yang_library, ())

    def _load_module(self, name: str, revision: str, module: Any) -> Statement:
        return self._statements[name]


def _local(paths: Any) -> list[str]:
    """Paths of a unique by their local names."""
    return [PREFIX.sub("", str(path)) for path in paths]


def _terminals(source: Any) -> Iterator[Any]:
    for child in getattr(source, "children", ()):
        if isinstance(child, yn.TerminalNode):
            yield child
        yield from _terminals(child)


def _end_of_typedefs(statement: Any, context: SchemaContext) -> None:
    """Follow each typedef in a statement to a built-in type; yangson would do so for ever.

    Raises:
        ConfigError: one is defined by itself (section 7.3).
    """
    for child in statement.substatements:
        _end_of_typedefs(child, context)
    if statement.keyword != "typedef" or statement.prefix:
        return
    seen, here, place = [statement], statement, context
    while (kind := here.find1("type")) is not None and kind.argument not in datatype.DataType.dtypes:
        here, place = context.schema_data.get_definition(kind, place)
        if any(here is earlier for earlier in seen):
            raise ConfigError(f"typedef {statement.argument} of {context.default_ns} is part of a circle of typedefs")
        seen.append(here)


def _resolve(node: Any) -> None:
    """Find the leafs that the leafrefs in the type of `node` refer to.

    A schema node whose if-feature is false is not there to be referred to (section 7.20.2).

    Raises:
        ConfigError: there is no such leaf.
    """
    for kind in _leafrefs(node.type):
        target = node._follow_leafref(kind.path, node)
        if not isinstance(target, yn.TerminalNode):
            why = "a node that is no leaf or leaf-list" if target is not None else "nothing, or a feature that is off"
            raise ConfigError(f"leafref {node.data_path()}: its path {kind.path} leads to {why}")
        if kind.require_instance and _configuration(node) and not target.config:
            raise ConfigError(f"leafref {node.data_path()}: configuration cannot refer to the state at {kind.path}")
        kind.ref_type = target.type


def _leafrefs(kind: Any) -> Iterator[Any]:
    if isinstance(kind, datatype.LeafrefType):
        yield kind
    for member in kind.types if isinstance(kind, datatype.UnionType) else ():
        yield from _leafrefs(member)


def _end(node: Any, kind: Any, before: tuple[Any, ...]) -> None:
    """Follow chains of leafrefs to their end.

    Raises:
        ConfigError: one has no end (section 9.9).
    """
    if any(kind is earlier for earlier in before):
        raise ConfigError(f"leafref {node.data_path()} is part of a circle of leafrefs")
    if isinstance(kind, datatype.LeafrefType):
        _end(node, kind.ref_type, (*before, kind))
    for member in kind.types if isinstance(kind, datatype.UnionType) else ():
        _end(node, member, (*before, kind))


def _in_context(kind: Any, context: SchemaContext) -> Any:
    """The type at the end of a chain of leafrefs, for values whose names are those of the place that refers to it."""
    while isinstance(kind, datatype.LeafrefType):
        kind = kind.ref_type
    if isinstance(kind, datatype.IdentityrefType | datatype.InstanceIdentifierType):
        kind = copy(kind)
        kind.sctx = context
    elif isinstance(kind, datatype.UnionType):
        kind = copy(kind)
        kind.types = [_in_context(member, context) if _names(member) else member for member in kind.types]
    return kind


def _done(node: Any) -> None:
    """What is left to do for a leafref's type."""


def _names(kind: Any) -> bool:
    """Whether values of a type of a union are qualified names, or may be."""
    names = datatype.IdentityrefType | datatype.InstanceIdentifierType | datatype.UnionType
    return isinstance(kind, names)


def _configuration(node: Any) -> bool:
    """Whether a schema node is configuration, and not the parameter of an operation or notification."""
    above = node
    while above is not None and not isinstance(above, yn.RpcActionNode | yn.NotificationNode):
        above = above.parent
    return above is None and bool(node.config)
