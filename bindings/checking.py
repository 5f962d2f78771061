"""What pyangbind lets pass and a server refuses: mandatory nodes, must, when, unique, numbers of elements.

The rules are the compiled models', as the server has them (RFC 7950 section 8); nothing of the server itself is loaded.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from bindings.reading import BindingError
from bindings.writing import is_module, json_members
from nms.errors import RpcError
from nms.model import json as instance_json
from nms.model.constraints import validate
from nms.model.load import load
from nms.model.schema import Schema

YANG = Path(__file__).resolve().parents[1] / "yang"


class Refused(BindingError):
    """A payload breaks rules of its model.

    Attributes:
        faults: one for each, with path, tag and message (RFC 6241 section 4.3).
    """

    def __init__(self, faults: list[RpcError]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self.faults = faults


@cache
def schema() -> Schema:
    """The compiled models, all of them and with all features: loaded once, in about a second."""
    names = sorted({file.name.partition("@")[0].removesuffix(".yang") for file in YANG.glob("*.yang")})
    return load([YANG], [f"{name}:*" for name in names])


def check(module: Any, *, whole: bool = False) -> None:
    """Refuse a payload that no server of these models can take, whatever else it holds.

    Args:
        module: what `bindings.build` has made, filled in.
        whole: whether it is all that the server will hold: then what a leafref points at must be in it, too.

    Raises:
        Refused: each leaf that is wrong or missing, and the rule that says so.
        BindingError: `module` is one node of a module, of which the rules cannot be told.
    """
    if not is_module(module):
        raise BindingError("a whole module is checked, as `build` makes it, not one node of it")
    compiled = schema()
    try:
        value = instance_json.decode(compiled.root, json.loads(json.dumps(json_members(module, ""))))
    except RpcError as error:
        raise Refused([error]) from None
    found = validate(compiled, value)
    faults = [fault for fault in found if whole or fault.app_tag != "instance-required"]
    if faults:
        raise Refused(faults)
