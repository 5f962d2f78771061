"""What a partner sees, under its agreement, of what there is here: zones, hosts, infrastructure managers, the DNS zone.

Only what the agreement offers, under names that tell nothing of the inside, with no more left than the quota leaves
(paper section 4: abstraction).  It must not know what a partner asks for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nms.mec import agreed, mep, mepm, vim
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, LocalSession, Members
from nms.mec.zones import abstracted, show

Show = Callable[[Scope, Members], Awaitable[None]]


def _offered(agreement: Members) -> frozenset[str]:
    return frozenset(zone["id"] for zone in agreement.get("zone", ()) if zone.get("offered", True))


def resources(publisher: Publisher, serving: Callable[[Scope], str]) -> Show:
    """Zones and hosts of the infrastructure manager that serves an agreement.

    Args:
        serving: gives its identifier; "" while it is not there, and then there are none.
    """

    async def shown(scope: Scope, agreement: Members) -> None:
        manager, offered = serving(scope), _offered(agreement)
        base = f"{vim.VIMS}[id='{manager}']"
        present = publisher.read(scope.agreement_path) or {}
        zones: dict[str, Members] = {}
        for zone in publisher.entries(f"{base}/zone") if manager else ():
            if zone["id"] in offered:
                attributes = {name: value for name, value in zone.items() if name not in ("state", "admin-state")}
                zones[zone["id"]] = abstracted(present, attributes | zone.get("state", {}))
        hosts: dict[str, Members] = {}
        for host in publisher.entries(f"{base}/host") if manager else ():
            if host["zone"] in offered:
                name = f"{host['zone']}.{sum(each['zone'] == host['zone'] for each in hosts.values()) + 1}"
                state = host.get("state", {})
                total = {"total": host["capacity"]} if "capacity" in host else {}
                entry = {leaf: host[leaf] for leaf in ("zone", "architecture", "accelerator") if leaf in host}
                hosts[name] = abstracted(present, {"id": name} | entry | total | state)
        show(publisher, f"{scope.base}/zone", zones)
        show(publisher, f"{scope.base}/host", hosts)

    return shown


def manager(publisher: Publisher, id: str) -> Show:
    """The infrastructure managers that the platform manager `id` can be told to use."""

    async def shown(scope: Scope, agreement: Members) -> None:
        offered = _offered(agreement)
        vims = publisher.entries(f"{mepm.MANAGERS}[id='{id}']/vim")
        seen = [each | {"zone": [zone for zone in each.get("zone", ()) if zone in offered]} for each in vims]
        show(publisher, f"{scope.base}/vim", {each["id"]: each for each in seen if each["zone"]})

    return shown


def platform(publisher: Publisher, id: str, local: Callable[[str], LocalSession]) -> Show:
    """The DNS zone in which the platform `id` puts names of a single label, and where applications reach it."""

    async def shown(scope: Scope, agreement: Members) -> None:
        configured = publisher.read(f"{mep.PLATFORMS}[id='{id}']/configuration", config=True) or {}
        access, held = publisher.read(f"{mep.PLATFORMS}[id='{id}']/mp1"), publisher.read(f"{scope.base}/mp1")
        if agreed.HOSTED in agreement:  # then it is that instance that they reach, which tells of itself
            if access is not None and held == access:
                publisher.state(f"{scope.base}/mp1", None, durable=False)
        elif access is not None and held != access:
            publisher.state(f"{scope.base}/mp1", access, durable=False)
        path = f"{scope.base}/configuration"
        wanted = {"dns-zone": configured["dns-zone"]} if "dns-zone" in configured else {}
        if wanted and (publisher.read(path, config=True) or {}) != wanted:
            session = local(scope.base)
            try:
                await session.edit([DataEdit("/configuration", "merge", wanted)])
            finally:
                session.close()

    return shown
