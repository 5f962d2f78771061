"""The embedded data plane: it records the traffic rules in force and shows them (MEC 011 TrafficRule; Mp2).

It steers no packets, and `steers` says so; that the platform activates and withdraws the right rules can be seen
all the same.  It knows the driver interface only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nms.drivers.api import TrafficRule, strict


class EmbeddedDataplane:
    """A `DataPlane` in memory; its configuration table takes no keys."""

    steers = False

    def __init__(self, config: Mapping[str, object], state: Path) -> None:
        strict("dataplane embedded", config, ())
        self._rules: dict[tuple[str, str], TrafficRule] = {}

    async def open(self) -> None:
        """Nothing to take up."""

    async def close(self) -> None:
        """Forget every rule."""
        self._rules.clear()

    async def activate(self, rule: TrafficRule) -> None:
        """Record a rule in place of the one with the same instance and rule id."""
        self._rules[rule.instance_id, rule.rule_id] = rule

    async def deactivate(self, instance_id: str, rule_id: str) -> None:
        """Remove a rule; an unknown one is no error."""
        self._rules.pop((instance_id, rule_id), None)

    async def rules(self) -> Sequence[TrafficRule]:
        """The rules in force by precedence (lowest priority number first), then by instance and rule id."""
        return sorted(self._rules.values(), key=lambda rule: (rule.priority, rule.instance_id, rule.rule_id))
