"""The entries of a domain's own blocks, which its configuration file makes and the operator goes on configuring."""

from __future__ import annotations

from nms.config import Config
from nms.mec import mep, mepm, vim
from nms.mec.publisher import Publisher
from nms.mec.running import Core
from nms.mec.session import SYSTEM, DataEdit, to_edit
from nms.operations.request import EditConfig

VIM, PLATFORM, MANAGER = "vim-1", "mep-1", "mepm-1"


def write(core: Core, config: Config, blocks: frozenset[str]) -> None:
    """Have them; what the operator has configured in them stays."""
    dns_zones = config.drivers.dns.options.get("zones", ())
    zone = next((str(each) for each in dns_zones), "") if isinstance(dns_zones, list | tuple) else ""
    edits: list[DataEdit] = []
    publisher = Publisher(core.store, core.streams)
    if "vim" in blocks:
        edits.append(DataEdit(f"{vim.VIMS}[id='{VIM}']", "merge", {"driver": config.drivers.vim.name}))
        for each in config.zones:
            about = {"name": each.geography} if each.geography else {}
            edits.append(DataEdit(f"{vim.VIMS}[id='{VIM}']/zone[id='{each.id}']", "merge", about))
    if "mep" in blocks:
        path = f"{mep.PLATFORMS}[id='{PLATFORM}']"
        held = publisher.read(path, config=True) or {}
        about = {"dns-driver": config.drivers.dns.name, "data-plane-driver": config.drivers.dataplane.name}
        if zone and "dns-zone" not in held.get("configuration", {}):
            edits.append(DataEdit(path, "merge", {**about, "vim": VIM, "configuration": {"dns-zone": zone}}))
        else:
            edits.append(DataEdit(path, "merge", about))
    if "mepm" in blocks:
        path = f"{mepm.MANAGERS}[id='{MANAGER}']"
        edits.append(DataEdit(path, "merge", {"platform": [PLATFORM]} if "mep" in blocks else {}))
    if edits:
        session = core.open_session(SYSTEM, "local", "", lambda reason: None)
        core.dispatch(session, EditConfig("running", [to_edit(core.schema, "", each) for each in edits]))
        core.close_session(session)
