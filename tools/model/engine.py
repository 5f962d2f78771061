"""Modules as the server's engine takes them, for tools: whatever is wrong with them is one line (`ConfigError`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nms.errors import ConfigError, RpcError
from nms.model.constraint_plan import plans
from nms.model.library import standard_path
from nms.model.load import load
from nms.model.schema import Schema
from tools.model.parsed import DEFECTS, refuse_invalid


def compiled(path: Sequence[Path], modules: Sequence[str]) -> Schema:
    """The schema of `modules` (each as `nms.model.load.load` wants it), all its constraints compiled.

    Raises:
        ConfigError: the engine does not take them.
    """
    try:
        schema = load(path, modules)
        plans(schema)
    except RpcError as error:
        raise ConfigError(error.message) from None
    except DEFECTS as error:  # yangson's, on statements that it did not expect
        names = ", ".join(modules)
        raise ConfigError(
            f"the engine gives up on {names} ({type(error).__name__}): `nms model check` says more"
        ) from None
    return schema


def valid(path: Sequence[Path], modules: Sequence[str]) -> Schema:
    """As `compiled`, for modules that nobody has checked before: those outside the standard folders must be valid YANG.

    Raises:
        ConfigError: a module is not valid, or the engine does not take it.
    """
    schema = compiled(path, modules)
    asked = [schema.modules[name.partition(":")[0]].file for name in modules]
    own = [file for file in dict.fromkeys(asked) if file.parent not in standard_path()]
    if own:
        refuse_invalid(own, path)
    return schema
