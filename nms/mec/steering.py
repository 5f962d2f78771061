"""Mp2 where the data plane and the platform that steers it are in different domains (options 1 and 2).

`Steering` serves it: a partner's rules, in what it is shown of our infrastructure, are put in force in our data plane,
under instance names of our own, so that partners' rules never meet.  `RemotePlane` uses it: to the platform a partner's
data plane is a driver like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nms.datastore.transaction import Transaction
from nms.drivers import api
from nms.errors import RpcError
from nms.mec import agreed
from nms.mec.driven import Rules, Steered, traffic_rule
from nms.mec.entry import RULE
from nms.mec.in_force import InForce
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mp2
from nms.mec.scope import Duty, Intent, IntentProvider, scope_of
from nms.mec.session import Members
from nms.mec.vim import CHANGED
from nms.mec.windows import RESOURCES
from nms.model.path import parse_path

_RULE = RULE.rpartition("/")[2]


class Steering:
    """Carries out the data-plane rules that stand under agreements.

    Args:
        rules: of the open driver.

    Attributes:
        in_force: by the rule's instance-identifier.
    """

    def __init__(self, publisher: Publisher, rules: Rules) -> None:
        self._publisher = publisher
        self._plane = rules.own
        self.in_force: InForce[Steered] = InForce(rules, self._bring_about, self._lost)
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        duties = {f"{RESOURCES.path}/{_RULE}": Duty(self._check, self._act)}
        self.provider = IntentProvider(publisher.schema, publisher.store, duties)

    async def start(self) -> None:
        """Put in force what is configured."""
        for scope in self._publisher.scopes(RESOURCES.path):
            for rule in self._publisher.entries(f"{scope.base}/{_RULE}"):
                await self._bring_about(f"{scope.base}/{_RULE}[instance='{rule['instance']}'][id='{rule['id']}']")

    async def close(self) -> None:
        """Stop; rules stay in force."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            if intent.old is None:
                agreed.in_force(self._publisher, intent, agreed.terms(self._publisher, intent.scope, tx.new))

    def _act(self, intent: Intent) -> None:
        if intent.new is not None:
            self._publisher.state(f"{intent.scope.base}{intent.path}/state", {"state": "mec-types:inactive"})
        self._loop.call_soon_threadsafe(self._wake, intent.scope.base + intent.path)

    def _wake(self, path: str) -> None:
        task = self._loop.create_task(self._bring_about(path))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring_about(self, path: str) -> None:
        """Put in force, or out of it, what is configured now."""
        async with self._turn:
            wanted = self._publisher.read(path, config=True)
            rule = {} if wanted is None else {wanted["id"]: (self._rule(path, wanted), self._plane)}
            was_wrong = bool(self.in_force.errors(path))
            (error,) = (await self.in_force.align(path, rule)).values() or (None,)
            if wanted is not None:
                self._show(path, error, told=was_wrong and error is None)

    def _rule(self, path: str, wanted: Members) -> api.TrafficRule:
        """As the driver is told of it: partners' names for instances must not meet."""
        scope = scope_of(parse_path(self._publisher.schema, path)[:-1])
        return traffic_rule(scope.inner("application", wanted["instance"]), wanted)

    def _lost(self, path: str, rule: str, error: RpcError | None) -> None:
        self._show(path, error, told=True)

    def _show(self, path: str, error: RpcError | None, *, told: bool) -> None:
        """What has become of a rule; `told`: it was known to be otherwise, and whose it is shall know."""
        state: Members = {"state": "mec-types:active"}
        if error is not None:
            lost = error.tag == "data-missing"
            detail = "the data plane has lost the rule" if lost else "the data plane does not accept the rule"
            state = {"state": "mec-types:inactive", "error": {"error-tag": error.tag, "detail": detail}}
        self._publisher.state(f"{path}/state", state)
        if told:
            where = parse_path(self._publisher.schema, path)
            subject = "/".join(map(str, where[-1][0].key_values(where[-1][1])))
            about = {"resource-type": _RULE, "resource": subject, **state, "state": plain(state["state"])}
            self._publisher.notify(scope_of(where[:-1]), CHANGED, about)


class RemotePlane:
    """`nms.drivers.api.DataPlane` at a partner.

    Args:
        key: (partner, agreement).
    """

    steers = True

    def __init__(self, partners: Partners, key: tuple[str, str]) -> None:
        self._partners = partners
        self.key = key
        self._mp2 = partners.point(Mp2, *key)

    async def open(self) -> None:
        """The session is the federation's."""

    async def close(self) -> None:
        """The session is the federation's."""

    async def activate(self, rule: api.TrafficRule) -> None:
        """See `DataPlane.activate`; what has failed is not left there half."""
        members = {
            "id": rule.rule_id,
            "priority": rule.priority,
            "action": f"mec-app-descriptor:{rule.action}",
            "filter-type": rule.filter_type,
            "filter": dict(rule.filter),
            "destination-interface": rule.destination_interface,
            "destination-address": rule.destination_address,
        }
        self._partners.reclaim(*self.key, RULE, f"{rule.instance_id}/{rule.rule_id}")
        try:
            await self._mp2.activate(rule.instance_id, {name: value for name, value in members.items() if value})
        except RpcError:
            await self.deactivate(rule.instance_id, rule.rule_id)
            raise

    async def deactivate(self, instance_id: str, rule_id: str) -> None:
        """See `DataPlane.deactivate`; what the partner does not take out of force is an orphan."""
        try:
            await self._mp2.deactivate(instance_id, rule_id)
        except RpcError as error:
            self._partners.orphan(*self.key, RULE, f"{instance_id}/{rule_id}", error.message)

    async def rules(self) -> Sequence[api.TrafficRule]:
        """The partner's own list tells."""
        return ()
