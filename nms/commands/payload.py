"""Payloads of commands, checked by the bindings before they are sent.

What a person typed is wrong more often than not in its form; the classes that pyangbind makes of our models know it
without asking the daemon, and say where.
"""

from __future__ import annotations

import json
from typing import Any

import bindings
from nms.errors import ConfigError


def checked(module: str, members: dict[str, Any]) -> dict[str, Any]:
    """`members` of `module` as the bindings write them.

    Raises:
        ConfigError: a value is not of its type, with the path.
    """
    try:
        found: dict[str, Any] = json.loads(bindings.to_json(bindings.from_json(module, json.dumps(members))))
    except bindings.BindingError as error:
        raise ConfigError(str(error)) from None
    except bindings.BindingsMissing as error:
        raise ConfigError(str(error)) from None
    return found
