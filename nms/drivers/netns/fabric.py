"""Makes the fabric: its namespace, the access bridge with this host on it, the bridges of slices, what may pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable

from nms.drivers.api import RpcError
from nms.drivers.netns import system
from nms.drivers.netns.layout import ACCESS, SUBNET, Layout, is_bridge

_ISOLATION = f"""
table inet isolation {{{{}}}}
delete table inet isolation
table inet isolation {{{{
  chain forward {{{{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "{ACCESS}" accept
    {{exceptions}}
  }}}}
  chain input {{{{
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname {{{{ "lo", "{ACCESS}" }}}} accept
  }}}}
}}}}
"""
#: The fabric routes, and bridges are not filtered: the policy above would end all traffic within a slice.
SWITCHES = """
echo 1 > /proc/sys/net/ipv4/ip_forward
for each in /proc/sys/net/bridge/bridge-nf-call-*tables; do
  if [ -e "$each" ]; then echo 0 > "$each"; fi
done
"""


def isolation(reachable: Iterable[tuple[str, int]]) -> str:
    """The ruleset that keeps slices apart.

    Clients reach every instance; instances answer them, and begin nothing towards other slices, clients or the fabric
    but what is `reachable`: addresses and TCP ports on the access network.  What stays within a slice is switched and
    never comes here.
    """
    exceptions = (f'oifname "{ACCESS}" ip daddr {address} tcp dport {port} accept' for address, port in reachable)
    return _ISOLATION.format(exceptions="\n    ".join(exceptions))


class Fabric:
    """The fabric of a layout.  It outlives the daemon, as instances do.

    Args:
        reachable: as in `isolation`; None where another driver of the domain says what may pass.
    """

    def __init__(self, layout: Layout, reachable: Collection[tuple[str, int]] | None = None) -> None:
        self._layout = layout
        self._reachable = reachable
        self._turn = asyncio.Lock()

    async def dismantle(self) -> None:
        """Remove it, where it is and nothing stands on it.  Raises `RpcError`: in-use, operation-failed."""
        if system.has_namespace(self._layout.fabric):
            found = await system.run("ip", "-n", self._layout.fabric, "-json", "link", "show")
            names = {str(link["ifname"]) for link in json.loads(found)}
            # Ports of instances that another daemon has left, and what somebody has attached to the access network.
            if others := sorted(name for name in names - {"lo", ACCESS, self._layout.uplink} if not is_bridge(name)):
                raise RpcError("in-use", f"{self._layout.fabric} is in use: it has {', '.join(others)}")
        await self._remove()

    async def _remove(self) -> None:
        # The kernel takes its time over a namespace; what is named on this side must be gone at once.
        await system.remove_link(self._layout.uplink)
        if system.has_namespace(self._layout.fabric):
            await system.ip(f"netns delete {self._layout.fabric}")

    async def ensure(self) -> None:
        """Make it where it is missing or incomplete.

        Raises `RpcError`: operation-failed.
        """
        layout = self._layout
        # The uplink is made last: with it, all that is made once is there.
        complete = await system.has_link(layout.uplink, layout.fabric)
        if not complete:
            await self._remove()
            await system.ip(f"netns add {layout.fabric}")
            await system.ip(
                "link set lo up",
                f"link add name {ACCESS} type bridge",
                f"address add {layout.gateway}/{SUBNET} dev {ACCESS}",
                f"link set {ACCESS} up",
                inside=layout.fabric,
            )
        await system.run("nsenter", f"--net={system.NAMESPACES}/{layout.fabric}", "sh", "-ec", SWITCHES)
        if self._reachable is not None or not complete:
            await system.nft(isolation(self._reachable or ()), layout.fabric)
        if not complete:
            await system.ip(f"link add name {layout.uplink} type veth peer name {layout.uplink} netns {layout.fabric}")
        # Not only after the link was made: a daemon may have ended in between, or a person taken the route away.
        await system.ip(
            f"address replace {layout.host}/{SUBNET} dev {layout.uplink}",
            f"link set {layout.uplink} up",
        )
        await system.ip(f"link set {layout.uplink} master {ACCESS} up", inside=layout.fabric)
        await system.ip(f"route replace {layout.block} via {layout.gateway}")

    async def bridge(self, address: str) -> None:
        """Make the bridge of the slice that has the address, where it is missing."""
        layout = self._layout
        name = layout.bridge(address)
        async with self._turn:
            if not await system.has_link(name, layout.fabric):
                await system.ip(
                    f"link add name {name} type bridge",
                    f"address add {layout.router(layout.subnet_of(address))}/{SUBNET} dev {name}",
                    f"link set {name} up",
                    inside=layout.fabric,
                )
