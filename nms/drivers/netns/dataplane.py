"""The data plane of the fabric: clients' packets follow the traffic rules in force (Mp2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from nms.drivers.api import ConfigError, TrafficRule, setting, strict
from nms.drivers.netns import system
from nms.drivers.netns.fabric import Fabric
from nms.drivers.netns.layout import Layout
from nms.drivers.netns.rules import CLEARED, in_force, ruleset

ME = "dataplane netns"


class NetnsDataplane:
    """The driver (`nms.drivers.api.DataPlane`).

    Configuration: ``addresses`` (as in the VIM's), ``gateway`` (address on the access network to which packets go that
    no rule steers to an instance; default: none, they are refused).
    """

    steers = True

    def __init__(self, config: Mapping[str, object], state: Path) -> None:
        strict(ME, config, ("addresses", "gateway"))
        self._layout = Layout(ME, config)
        self._gateway = setting(ME, config, "gateway", str, "")
        try:
            inside = not self._gateway or self._layout.on_access(self._gateway)
        except ValueError as error:
            raise ConfigError(f"driver {ME}: 'gateway' is no IPv4 address: {error}") from error
        if not inside:
            raise ConfigError(f"driver {ME}: 'gateway' is not on the access network, where {self._layout.gateway} is")
        self._rules: dict[tuple[str, str], TrafficRule] = {}
        self._made = ""
        self._turn = asyncio.Lock()
        self._lock: IO[bytes] | None = None

    async def open(self) -> None:
        """Make the fabric, or take up the one that is there, without any rule."""
        if lacking := await asyncio.to_thread(system.missing):
            raise ConfigError(f'driver {ME}: {lacking}; name = "auto" takes the embedded driver then')
        self._lock = system.claim(ME, f"{self._layout.fabric}-dataplane")
        await Fabric(self._layout).ensure()
        if self._gateway:
            await system.ip(f"route replace default via {self._gateway}", inside=self._layout.fabric)
        await system.nft(CLEARED, self._layout.fabric)

    async def close(self) -> None:
        """Take every rule out of force."""
        if self._lock is None:
            return
        self._rules.clear()
        try:
            await system.nft(CLEARED, self._layout.fabric)
        finally:
            self._lock.close()
            self._lock = None

    async def activate(self, rule: TrafficRule) -> None:
        """Put a rule in force; see `nms.drivers.api.DataPlane.activate`.

        Raises `RpcError`: operation-not-supported, invalid-value; the rules in force stay as they are.
        """
        async with self._turn:
            await self._replace({**self._rules, (rule.instance_id, rule.rule_id): rule})

    async def deactivate(self, instance_id: str, rule_id: str) -> None:
        """Take a rule out of force; an unknown one is no error."""
        async with self._turn:
            key = instance_id, rule_id
            if key in self._rules:
                await self._replace({each: rule for each, rule in self._rules.items() if each != key})

    async def rules(self) -> Sequence[TrafficRule]:
        """The rules that the kernel has, by precedence (lowest priority number first), then by instance and rule id.

        Raises `RpcError`: operation-failed.
        """
        async with self._turn:
            there = await system.nft("list ruleset ip", self._layout.fabric) if self._rules else ""
            return in_force(_ordered(self._rules), self._made, there)

    async def _replace(self, rules: dict[tuple[str, str], TrafficRule]) -> None:
        await system.nft(ruleset(_ordered(rules)), self._layout.fabric)
        self._rules = rules
        self._made = await system.nft("list table ip steering", self._layout.fabric)


def _ordered(rules: Mapping[tuple[str, str], TrafficRule]) -> list[TrafficRule]:
    return sorted(rules.values(), key=lambda rule: (rule.priority, rule.instance_id, rule.rule_id))
