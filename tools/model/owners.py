"""Configuration that nobody acts on: nodes of a model that no provider of a running domain watches.

A provider owns the schema paths that it names, with all that is below; what leads there is owned through it.  Which
providers there are is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from nms.errors import ConfigError
from nms.model.schema import Node, Schema


def unowned(schema: Schema, owners: Collection[str]) -> list[Node]:
    """The topmost configuration lists, containers and leafs outside keys without an owner, in document order.

    Args:
        owners: schema paths with every name qualified, as `Store.providers` holds them.

    Owners of modules that are not implemented here are left out: a server has more than the modules under test.

    Raises:
        ConfigError: a path of a module that is here is not.
    """
    implemented = {name for name, module in schema.modules.items() if module.implemented}
    known = {_found(schema, path) for path in owners if path.strip("/").partition(":")[0] in implemented}
    leading = {above.path for path in known for above in schema.find(path).ancestors()}

    def below(node: Node) -> Iterator[Node]:
        for child in node.children:
            if not child.config or child.path in known or child in node.keys:
                continue
            if child.path in leading:
                yield from below(child)
            else:
                yield child

    return list(below(schema.root))


def _found(schema: Schema, path: str) -> str:
    try:
        return schema.find(path).path
    except KeyError:
        raise ConfigError(f"{path}: no such node in these modules") from None
