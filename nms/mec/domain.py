"""One domain: the blocks that its configuration lists, their reference points, and the core that they stand on.

Which block talks to which is written here and nowhere else: a reference point is given a session on this domain's own
core, or on a partner's.  Blocks start from the infrastructure upwards, each taking up what it finds, and end in
reverse.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nms.config import Config
from nms.datastore.provider import Provider
from nms.drivers import api
from nms.errors import ConfigError
from nms.mec import exposure, mep, mepm, own_entries, vim, windows
from nms.mec.below import AbsentSide, HeldSide
from nms.mec.blocks import Blocks, Divided, Single
from nms.mec.chosen import Drivers, load_drivers
from nms.mec.dedicated import INFRASTRUCTURE, Managers
from nms.mec.driven import Names, Rules
from nms.mec.far_rules import FarRules
from nms.mec.hosting import Hosting
from nms.mec.identities import Identities, access_of
from nms.mec.interconnection import Interconnection, application_of
from nms.mec.listener import Listener
from nms.mec.meo import Meo
from nms.mec.mep import Mep
from nms.mec.mepm import Mepm
from nms.mec.mp1 import Mp1
from nms.mec.no_platform_instance import NoPlatformInstance
from nms.mec.onboarding import Onboarding
from nms.mec.ordering import Ordering
from nms.mec.oss import ORDERS, Oss
from nms.mec.own_entries import MANAGER, PLATFORM, VIM
from nms.mec.package_store import PackageStore
from nms.mec.partners import NoPartners, Partners
from nms.mec.peer_services import PeerServices
from nms.mec.places import Places
from nms.mec.planes import Planes
from nms.mec.platform_instance import Kept, PlatformInstances
from nms.mec.platform_relay import Relay
from nms.mec.proxy import Proxy
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Reconciliation
from nms.mec.reference_points import Mm1, Mm2, Mm3, Mm4, Mm5, Mm6, Mm8, Mm9
from nms.mec.requested import Requested
from nms.mec.running import Core, run
from nms.mec.scope import Scope
from nms.mec.session import LocalSession
from nms.mec.sides import Sides
from nms.mec.slices import Slices
from nms.mec.steering import Steering
from nms.mec.tenancy import Tenancy
from nms.mec.transfer import PackageSource, Transfers
from nms.mec.vim import Vim
from nms.mec.zones import OWN, UNDER_AGREEMENT
from nms.model import json
from nms.operations.request import Invoke, Session


@dataclass(slots=True)
class Domain:
    """A domain at work; a block that it does not run is None.

    Attributes:
        publisher: for notifications and state of others, so that each agreement has one sequence.
        content: packages and images by digest.
        drivers: None where no block needs them.
        managers: infrastructure managers that slices have of their own.
        mm1, mm2: for the operator's tools in this process.
    """

    publisher: Publisher
    content: PackageStore
    drivers: Drivers | None = None
    vim: Vim | None = None
    managers: Managers | None = None
    steering: Steering | None = None
    mep: Mep | None = None
    far_rules: FarRules | None = None
    mp1: Mp1 | None = None
    interconnection: Interconnection | None = None
    peer_services: PeerServices | None = None
    mepm: Mepm | None = None
    meo: Meo | None = None
    oss: Oss | None = None
    mm1: Mm1 | None = None
    mm2: Mm2 | None = None
    reconciliation: Reconciliation | None = None
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    def refresh(self) -> None:
        """Partners, their zones or their agreements have changed.  Called in the event loop."""
        for block in (self.far_rules, self.interconnection, self.peer_services, self.mepm, self.meo):
            if block is not None:
                block.refresh()

    def stop(self) -> None:
        """Begin nothing more: what breaks from now on, since others end too, is no result."""
        for block in (self.oss, self.meo):
            if block is not None:
                block.stop()

    async def close(self) -> None:
        """End the blocks, the highest first; what runs runs on and is found again."""
        await self.stack.aclose()


async def start(
    core: Core,
    config: Config,
    *,
    publisher: Publisher | None = None,
    drivers: Drivers | None = None,
    partners: Partners | None = None,
    source: PackageSource | None = None,
    measure_interval: float = 10.0,
) -> Domain:
    """Run the blocks of `config.domain.blocks` in the running event loop.

    Args:
        publisher: shared with whoever else publishes to partners; None: its own.
        drivers: in place of those that the configuration names.
        partners: None: there are none.
        source: where packages and images of other machines come from; None: nowhere.
        measure_interval: seconds between two measurements of the infrastructure.

    Raises:
        ConfigError: a block lacks what it needs, or a driver does.
        RpcError: a driver cannot be opened.
    """
    blocks = frozenset(config.domain.blocks)
    publisher = publisher or Publisher(core.store, core.streams)
    domain = Domain(publisher, PackageStore(packages_folder(config)))
    try:
        await _assemble(domain, core, config, blocks, drivers, partners or NoPartners(), source, measure_interval)
    except BaseException:
        await domain.close()
        raise
    return domain


def packages_folder(config: Config) -> Path:
    """Where packages are kept.  Raises `ConfigError`: the configuration names no place."""
    state = config.drivers.state
    folder = config.packages.path or (state / "packages" if state is not None else None)
    if folder is None:
        raise ConfigError("[packages] path: a folder is needed to run the blocks of a domain")
    return folder


async def _assemble(
    domain: Domain,
    core: Core,
    config: Config,
    blocks: frozenset[str],
    drivers: Drivers | None,
    partners: Partners,
    source: PackageSource | None,
    measure_interval: float,
) -> None:
    if "oss" in blocks and "meo" not in blocks:
        raise ConfigError("[domain] blocks: oss needs meo")
    if blocks & {"vim", "mep"}:
        if drivers is None:
            if config.drivers.state is None:
                raise ConfigError("[drivers] state: a folder is needed to run the blocks vim and mep")
            drivers = load_drivers(config, config.drivers.state)
        domain.drivers = drivers
    core.store.stumbles.append(lambda provider, tx, error: _stumbled(domain.publisher, provider, error))
    own_entries.write(core, config, blocks)

    def local(base: str) -> LocalSession:
        session = LocalSession(core, base)
        domain.stack.callback(session.close)
        return session

    publisher = domain.publisher
    transfers = Transfers(domain.content, source)
    names, rules = await _open(domain, blocks)
    vim_base, platform_base = f"{vim.VIMS}[id='{VIM}']", f"{mep.PLATFORMS}[id='{PLATFORM}']"
    manager_base = f"{mepm.MANAGERS}[id='{MANAGER}']"
    slices: Slices | None = None

    async def open_window(window: windows.Window, blocks: Blocks, show: exposure.Show) -> Tenancy:
        """Let partners see, and write in, what they are shown of a block."""
        tenancy = Tenancy(publisher, window, blocks, transfers, show, slices)
        core.store.add_provider(Listener(tenancy.wake))
        await run(domain.stack, core, tenancy, [window.path] if window.followed else [])
        return tenancy

    keys, signed = config.packages.trusted_keys, config.packages.require_signature
    if "vim" in blocks:
        assert drivers is not None
        identities = Identities.configured(config)

        def manager_of(name: str, driver: api.Vim, session: LocalSession) -> Vim:
            return Vim(publisher, driver, transfers, name, session, measure_interval, identities)

        domain.vim = manager_of(VIM, drivers.vim, local(vim_base))
        sessions = partial(LocalSession, core)
        # First: what they have been lent is not there for the domain's own manager.
        domain.managers = Managers(publisher, VIM, domain.vim, drivers.vim, sessions, manager_of)
        await run(domain.stack, core, domain.managers, [vim.VIMS])
        await run(domain.stack, core, domain.vim, [])
        slices = Slices(publisher, VIM, local(INFRASTRUCTURE), domain.managers)
        await run(domain.stack, core, slices, [])
        await open_window(windows.RESOURCES, Divided(slices), exposure.resources(publisher, slices.serving))
        assert rules is not None
        domain.steering = Steering(publisher, rules)
        await run(domain.stack, core, domain.steering, [])
        await run(domain.stack, core, Hosting(core, publisher, local(vim_base)), [])
    infrastructure = (VIM, Mm6(local(vim_base))) if "vim" in blocks else None
    served = (PLATFORM, Mm5(local(platform_base))) if "mep" in blocks else None
    places = Places(infrastructure, served, partners)
    planes: Planes | None = None
    if "mep" in blocks:
        assert names is not None
        assert rules is not None
        planes = Planes(publisher, rules.own, places, partners)
        session = local(platform_base)
        domain.mep = Mep(publisher, names, rules, PLATFORM, session, planes.of)
        await run(domain.stack, core, domain.mep, [])
        domain.far_rules = FarRules(partners, domain.mep.traffic)
        domain.far_rules.refresh()
        domain.stack.push_async_callback(domain.far_rules.close)
        if access := access_of(config):
            domain.mp1 = Mp1(core, publisher, domain.mep, access)
            await run(domain.stack, core, domain.mp1, [])
        planes.tenancy = await open_window(
            windows.PLATFORM, Single(platform_base, session), exposure.platform(publisher, PLATFORM, local)
        )
        if domain.mp1 is None or config.drivers.state is None:
            core.store.add_provider(NoPlatformInstance(publisher.schema))
        else:
            kept = Kept(domain.content, config.drivers.state / "platforms", config.domain.id)
            relay = partial(Relay, core, publisher, domain.mp1, domain.mep.scope)
            elsewhere = PlatformInstances(publisher, domain.mep.scope, session, partners, kept, relay)
            await run(domain.stack, core, elsewhere, [])
    if "mepm" in blocks:
        onboarding = Onboarding(publisher, transfers, keys, signed)
        domain.mepm = Mepm(publisher, onboarding, MANAGER, places)
        domain.mm2 = Mm2(local(manager_base))
        await run(domain.stack, core, domain.mepm, [mepm.MANAGERS])
        managed = Single(manager_base, local(manager_base))
        await open_window(windows.MANAGER, managed, exposure.manager(publisher, MANAGER))
    if "meo" in blocks:
        onboarding = Onboarding(publisher, transfers, keys, signed, notify=True)
        manager = (MANAGER, Mm3(local(manager_base))) if "mepm" in blocks else None
        vims = {VIM: Mm4(local(vim_base))} if "vim" in blocks else {}
        domain.meo = Meo(publisher, onboarding, config.domain.id, manager, vims, partners, slices)
        core.store.add_provider(Listener(domain.meo.wake))
        domain.mm1 = Mm1(local(OWN.base))
        await run(domain.stack, core, domain.meo, [OWN.base, UNDER_AGREEMENT])
        await run(domain.stack, core, Requested(publisher, partners), [])
    if "oss" in blocks:
        assert domain.mm1 is not None
        assert domain.meo is not None
        domain.oss = Oss(publisher, domain.mm1, domain.meo.planner)
        core.register("mec-order", "plan-order", domain.oss.plan)
        core.register("mec-order", "place-order", Ordering(core, publisher).place)
        await run(domain.stack, core, domain.oss, [])
        await run(domain.stack, core, Proxy(core, publisher, Mm8(local(ORDERS.base)), Mm9(local(OWN.base))), [])
    if "mep" in blocks:
        assert planes is not None
        await _interconnect(domain, core, partners, planes, Mm5(local(platform_base)))
    await _reconcile(domain, core, _sides(domain, partners, planes, names, rules))


async def _interconnect(domain: Domain, core: Core, partners: Partners, planes: Planes, mm5: Mm5) -> None:
    """Join the platform with those of partners (Mp3)."""
    publisher = domain.publisher

    def owner(application: str) -> Scope | None:
        found = planes.tenancy.owner("application", application) if planes.tenancy is not None else None
        return None if found is None else found[0]

    def application(scope: Scope, name: str) -> str:
        return application_of(publisher, domain.meo, scope, name)

    domain.interconnection = Interconnection(publisher, PLATFORM, mm5, owner, application)
    core.store.add_provider(Listener(domain.interconnection.wake))
    await run(domain.stack, core, domain.interconnection, [])
    domain.peer_services = PeerServices(publisher, PLATFORM, partners)
    core.register("mec-platform", f"{mep.PLATFORMS}/application/discover-services", domain.peer_services.discover)
    await run(domain.stack, core, domain.peer_services, [])


async def _open(domain: Domain, blocks: frozenset[str]) -> tuple[Names | None, Rules | None]:
    """The drivers that several blocks put something into; what is in force ends with the daemon, or outlives it."""
    if domain.drivers is None:
        return None, None
    dns, plane = domain.drivers.dns, domain.drivers.data_plane
    if "mep" in blocks:
        await dns.open()
        domain.stack.push_async_callback(dns.close)
    await plane.open()
    domain.stack.push_async_callback(plane.close)
    return Names(dns), Rules(plane)


def _sides(
    domain: Domain, partners: Partners, planes: Planes | None, names: Names | None, rules: Rules | None
) -> Sides:
    """What this domain compares itself with."""
    mep_, steering, managers = domain.mep, domain.steering, domain.managers

    def infrastructure() -> Iterator[tuple[str, Vim, api.Vim]]:
        if domain.vim is not None and domain.drivers is not None:
            yield VIM, domain.vim, domain.drivers.vim
        for name, each in ({} if managers is None else managers.running()).items():
            yield name, each.vim, each.driver

    def absent() -> Iterator[AbsentSide]:
        if managers is not None:
            for name in sorted(managers.absent()):
                yield AbsentSide(f"{vim.VIMS}[id='{name}']", name, managers.take_up)

    held = []
    if names is not None and mep_ is not None:
        held.append(HeldSide(f"{mep_.scope.base}/dns", "dns", names, [mep_.dns]))
    if rules is not None:
        holders = [*([mep_.traffic] if mep_ else []), *([steering.in_force] if steering else [])]
        held.append(HeldSide(f"{INFRASTRUCTURE}/data-plane", "data-plane", rules, holders))
    own = None if domain.meo is None or domain.mm1 is None else (domain.meo, domain.mm1)
    steers = None if planes is None else (PLATFORM, planes)
    return Sides(domain.publisher, partners, own, steers, infrastructure, absent, held)


async def _reconcile(domain: Domain, core: Core, sides: Sides) -> None:
    """Compare with partners and drivers, now and then and on demand."""
    domain.reconciliation = reconciliation = Reconciliation(domain.publisher, sides.all)

    def reconcile(session: Session, request: Invoke) -> None:
        wanted = json.plain(request.node.children[0], request.input).get("partner")
        reconciliation.now(lambda name: wanted is None or name.partition("/")[0] == wanted)

    core.register("mec-federation", "reconcile", reconcile)
    await reconciliation.start()
    domain.stack.push_async_callback(reconciliation.close)


def _stumbled(publisher: Publisher, provider: Provider, error: Exception) -> None:
    """A confirmed change could not be acted upon: the operator has to know."""
    subject = provider.paths[0] if provider.paths else type(provider).__name__
    publisher.alarm(OWN, subject, "apply-failed-alarm", "critical", f"a confirmed change was not applied: {error!r}")
