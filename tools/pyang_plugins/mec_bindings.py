"""Output format ``mec-bindings`` of pyang: pyangbind's classes, one package for each module.

pyangbind knows YANG 1.0 and stumbles over some of what our models and the IETF's use.  Before it runs, the parsed
modules are rewritten in memory, without loss for data:

- actions are taken out (RFC 7950 section 7.15; they are invoked by path, not kept as data);
- a typedef that shares its name with an identity gets another one (`ietf-alarms:alarm-type-id` is both);
- references to typedefs and identities are written with the defining module's own prefix, since pyangbind looks up
  unprefixed names in one table for all modules;
- instance-identifier becomes string.

This file runs inside pyang, which finds it through ``--plugindir``; it must not import the project.
"""

from __future__ import annotations

import os
from typing import Any, TextIO

from pyang import plugin
from pyangbind.plugin import pybind


def pyang_plugin_init() -> None:
    """Called by pyang."""
    plugin.register_plugin(Bindings())


class Bindings(pybind.PyangBindClass):  # type: ignore[misc]  # pyangbind is untyped
    """pyangbind's plugin under another name, with its input prepared and its output split by module."""

    def add_output_format(self, fmts: dict[str, Any]) -> None:
        self.multiple_modules = True
        fmts["mec-bindings"] = self

    def emit(self, ctx: Any, modules: list[Any], fd: TextIO) -> None:
        parsed = [module for module in ctx.modules.values() if module is not None]
        for module in parsed:
            _separate_names(module)
        for module in parsed:
            _qualify(module)
            _without_actions(module)
        ctx.errors = []  # unused imports and the like: the lint is check_yang's business, errors have stopped pyang
        generate = pybind.get_children

        def generate_in_own_folder(ctx: Any, fd: TextIO, children: Any, module: Any, parent: Any, *args: Any,
                                   **options: Any) -> None:  # fmt: skip
            if parent is module:
                ctx.pybind_split_basepath = os.path.join(ctx.opts.split_class_dir, pybind.safe_name(module.arg))
                os.makedirs(ctx.pybind_split_basepath, exist_ok=True)
            generate(ctx, fd, children, module, parent, *args, **options)

        pybind.get_children = generate_in_own_folder
        pybind.build_pybind(ctx, modules, fd)


def _separate_names(module: Any) -> None:
    identities = {identity.arg for identity in module.search("identity")}
    for typedef in module.search("typedef"):
        if typedef.arg in identities:
            typedef.arg += "-type"


def _qualify(statement: Any) -> None:
    if statement.keyword == "type":
        typedef: Any = getattr(statement, "i_typedef", None)
        if statement.arg == "instance-identifier":
            statement.arg = "string"
        elif getattr(typedef, "keyword", None) == "typedef":
            statement.arg = f"{_prefix(typedef)}:{typedef.arg}"
    elif statement.keyword == "base" and ":" not in statement.arg:
        statement.arg = f"{_prefix(statement)}:{statement.arg}"
    for substatement in statement.substmts:
        _qualify(substatement)


def _prefix(statement: Any) -> str:
    return str(statement.i_module.i_prefix)


def _without_actions(statement: Any) -> None:
    if hasattr(statement, "i_children"):
        statement.i_children[:] = [child for child in statement.i_children if child.keyword != "action"]
        for child in statement.i_children:
            for leaf_type in child.search("type"):  # copies made by `uses` are reached from here only
                _qualify(leaf_type)
            _without_actions(child)
