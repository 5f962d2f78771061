"""What each XPath expression of a module costs, from the engine's own dependency analysis (RFC 7950 section 6.4).

local: its own entry and what is above; look-up: entries found by all their keys; whole list: every entry of a list is
read; whole datastore: anything may be read.  The engine says which schema nodes an expression touches, and pyang's
syntax tree whether a step fixes all keys.  A leaf-list counts as one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pyang import xpath_lexer, xpath_parser

from nms.errors import RpcError
from nms.model.schema import Node, Schema
from nms.model.xpath import Compiled, compile_text
from tools.model.parsed import Statement, schema_nodes

CLASSES: Final = ("local", "look-up", "whole list", "whole datastore")
CODES: Final = dict(zip(CLASSES, ("NMS501", "NMS502", "NMS503", "NMS504"), strict=True))


class Cost(NamedTuple):
    """One expression of a model: its statement, the schema path of its context, its class, the lists it reads."""

    statement: Statement
    context: str
    kind: str
    lists: tuple[str, ...]


def costs(schema: Schema, module: Statement) -> list[Cost]:
    """The cost of each must, when and leafref path of a module; the worst one where a grouping is used many times."""
    worst: dict[tuple[str, int, str], Cost] = {}
    for statement, context in _expressions(schema, module):
        try:
            cost = _cost(schema, statement, context)
        except (RpcError, xpath_lexer.XPathError, SyntaxError):
            continue  # pyang and the loader have said what is wrong with it
        place = (statement.pos.ref, statement.pos.line, statement.arg)
        known = worst.get(place)
        if known is None or CLASSES.index(cost.kind) > CLASSES.index(known.kind):
            worst[place] = cost
    return [worst[place] for place in sorted(worst)]


def own_nodes(schema: Schema, module: Statement) -> Iterator[tuple[Statement, Node]]:
    """The schema nodes that `module` defines, in augments too, with the engine's; a choice with the node around it."""
    own = [*schema_nodes(module)]
    for augment in module.search("augment"):
        for child in getattr(getattr(augment, "i_target_node", None), "i_children", ()):
            if getattr(child, "i_augment", None) is augment:
                own += [child, *schema_nodes(child)]
    for statement in own:
        node = engine_node(schema, statement)
        if node is not None:
            yield statement, node


def _expressions(schema: Schema, module: Statement) -> Iterator[tuple[Statement, Node]]:
    """Each expression of `module` with the schema node of its context node."""
    for augment in module.search("augment"):
        target = getattr(augment, "i_target_node", None)
        context = engine_node(schema, target) if target is not None else None
        yield from ((when, context) for when in augment.search("when") if context is not None)
    for node, here in own_nodes(schema, module):
        structural = node.keyword in ("choice", "case")
        above = here.parent if here.parent is not None else schema.root
        yield from ((must, here) for must in node.search("must"))
        yield from ((when, here) for when in node.search("when"))
        for uses in node.search("uses"):
            yield from ((when, above if structural else here) for when in uses.search("when"))
        type_ = node.search_one("type")
        if type_ is not None:
            yield from ((path, here) for path in _paths(type_))


def _paths(type_: Statement) -> Iterator[Statement]:
    yield from type_.search("path")
    typedef = getattr(type_, "i_typedef", None)
    if typedef is not None:
        yield from _paths(typedef.search_one("type"))
    for member in type_.search("type"):
        yield from _paths(member)


def engine_node(schema: Schema, statement: Statement) -> Node | None:
    """The engine's node of a schema node of pyang's; of a choice or case the data node around it."""
    steps: list[tuple[str, str]] = []
    while statement.keyword not in ("module", "submodule"):
        if statement.keyword not in ("choice", "case"):
            steps.insert(0, (statement.i_module.i_modulename, statement.arg or statement.keyword))
        statement = statement.parent
    node: Node | None = schema.root
    for module, name in steps:
        assert node is not None
        pool = [*node.children, *node.actions, *node.notifications]
        if node is schema.root:
            pool += [*schema.rpcs.values(), *schema.notifications.values()]
        operation = node.kind in ("rpc", "action")
        node = next((n for n in pool if n.name == name and (operation or n.module == module)), None)
        if node is None:
            return None
    return node


def _cost(schema: Schema, statement: Statement, context: Node) -> Cost:
    defined_in = getattr(statement, "i_orig_module", None) or statement.i_module
    namespaces = {
        prefix: schema.modules[module].namespace
        for prefix, (module, _) in defined_in.i_prefixes.items()
        if module in schema.modules
    }
    compiled = compile_text(schema, statement.arg, namespaces, context=context)
    tree = xpath_parser.parse(statement.arg)
    kind, lists = _classify(schema, compiled, tree, context, leafref=statement.keyword == "path")
    return Cost(statement, context.path or "/", kind, tuple(sorted(node.path for node in lists)))


def _classify(schema: Schema, compiled: Compiled, tree: Any, context: Node, *, leafref: bool) -> tuple[str, list[Node]]:
    steps = list(_steps(tree))
    touched = compiled.program.touched
    if schema.root in touched or any(_searches_all(path) for path in _absolute(tree)):
        return "whole datastore", []
    above = set(context.ancestors())
    names = {name: [keys for n, keys in steps if n == name] for name, _ in steps}
    looked_up: list[Node] = []
    read: list[Node] = []
    for node in touched:
        if node.kind != "list" or (node in above and node.name not in names):
            continue  # reached by going up
        wanted = {key.name for key in node.keys}
        given = names.get(node.name)
        if given and any(other.name == node.name and other.kind != "list" for other in touched):
            given = list(filter(None, given)) or given  # steps without keys go to the leaf of that name
        if given is None:
            (looked_up if _uses(tree, "deref") and None not in names else read).append(node)
        elif node.keys and all(_fixes(wanted, keys, leafref=leafref, target=compiled.program.nodes) for keys in given):
            looked_up.append(node)
        else:
            read.append(node)
    if read:
        return "whole list", read
    return ("look-up", looked_up) if looked_up else ("local", [])


def _fixes(wanted: set[str], given: set[str], *, leafref: bool, target: frozenset[Node]) -> bool:
    if wanted <= given:
        return True
    # A leafref to a key: the engine looks the value itself up.
    return leafref and any({node.name} | given == wanted for node in target)


def _steps(tree: Any) -> Iterator[tuple[str | None, set[str]]]:
    """Each child step of a syntax tree: its name (None for a wildcard) and the names its predicates fix."""
    if isinstance(tree, tuple) and tree[:1] == ("step",):
        _, axis, test, predicates = tree
        if axis not in ("parent", "self", "ancestor", "ancestor-or-self"):
            yield (test[2] if test[0] == "name" else None), {key for p in predicates for key in _fixed(p)}
        yield from (step for predicate in predicates for step in _steps(predicate))
    elif isinstance(tree, tuple | list):
        for part in tree:
            yield from _steps(part)


def _fixed(predicate: Any) -> Iterator[str]:
    """The children that a predicate compares with something by ``=``, in its whole or joined by ``and``."""
    match predicate:
        case ("bool", "and", left, right):
            yield from _fixed(left)
            yield from _fixed(right)
        case ("comp", "=", left, right):
            for side in (left, right):
                match side:
                    case ("relative", [("step", "child", ("name", _, str(name)), [])]):
                        yield name
                        return


def _absolute(tree: Any) -> Iterator[Any]:
    if isinstance(tree, tuple) and tree[:1] == ("absolute",):
        yield tree
    if isinstance(tree, tuple | list):
        for part in tree:
            yield from _absolute(part)


def _searches_all(path: Any) -> bool:
    return bool(path[1:]) and bool(path[1]) and path[1][0][1].startswith("descendant")


def _uses(tree: Any, function: str) -> bool:
    if isinstance(tree, tuple) and tree[:2] == ("function_call", function):
        return True
    return isinstance(tree, tuple | list) and any(_uses(part, function) for part in tree)
