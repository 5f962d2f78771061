"""An edit-config body judged against the configuration that it would change, by no server (RFC 6241 section 7.2)."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from nms.errors import ConfigError, RpcError
from nms.model import edit as edits_of
from nms.model.constraints import validate
from nms.model.edit import Op
from nms.model.schema import Schema
from nms.model.xml_edit import decode_edit, refuse_empty_state
from tools.model.instances import NETCONF, Fault, place, read, state_in


def check_edit(schema: Schema, edit: Path, onto: Path, default_operation: Op = "merge") -> list[Fault]:
    """All that is wrong with an edit: its own form, an operation that cannot be done, or what it leads to.

    Args:
        edit: a `config` element, alone or in an `edit-config` or `rpc`.
        onto: the running configuration, as XML or RFC 7951 JSON.
        default_operation: where the edit itself does not say.

    Raises:
        ConfigError: a file cannot be read, or `onto` is no valid configuration.
    """
    running, faults = read(schema, onto, "config")
    if faults:
        raise ConfigError(f"{onto}:{faults[0].line}: the configuration to edit is not valid: {faults[0].message}")
    try:
        text = edit.read_bytes()
    except OSError as error:
        raise ConfigError(f"{edit}: {error.strerror}") from None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        document = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        return [Fault(error.lineno or 1, "read", RpcError("malformed-message", f"not XML: {error.msg}"))]
    config = next(iter(document.iter(f"{{{NETCONF}}}config", "config")), None)
    if config is None:
        return [Fault(1, "read", RpcError("missing-element", "a <config> element is wanted, as edit-config has it"))]
    said = document.find(f".//{{{NETCONF}}}default-operation")
    try:
        refuse_empty_state(schema, config)
        changes = decode_edit(schema, config, _operation(said, default_operation))
        after = edits_of.apply(schema.root, running, changes)
    except RpcError as error:
        return [Fault(place(config, error), "shape", error)]
    if (state := state_in(schema.root, after)) is not None:
        refused = RpcError("unknown-element", f"{state.name} is state, not configuration", path=state.path)
        return [Fault(place(config, refused), "shape", refused)]
    return [Fault(place(config, error), "constraint", error) for error in validate(schema, after)]


def _operation(element: etree._Element | None, default: Op) -> Op:
    if element is None:
        return default
    match (element.text or "").strip():
        case "merge" | "replace" | "none" as said:
            return said
        case other:
            raise RpcError("invalid-value", f"default-operation is merge, replace or none, not {other!r}")
