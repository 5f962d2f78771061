"""The daemon: puts a configuration's parts together, listens, and takes them apart again in reverse.

Everything that it starts is closed by one exit stack.  With YANG modules named in the configuration it is a generic
NETCONF and RESTCONF server of these; without, it serves our own models and runs the blocks of a MEC domain.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import asyncssh
import orjson
from lxml import etree

from nms import memory
from nms.config import YANG_DIR, Config, ModuleChoice, Store
from nms.credentials import Credentials
from nms.datastore.journal import Journal
from nms.datastore.journal_memory import MemoryJournal
from nms.datastore.journal_sqlite import SqliteJournal
from nms.errors import ConfigError, RpcError, RpcErrors
from nms.model import edit as edits
from nms.model import json, load, xml
from nms.model.schema import Schema
from nms.model.values import Value
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.transport import ssh, tls, unix

log = logging.getLogger(__name__)

#: Collections of the young generation come this rarely because trees are tuples, which it need not track for long; the
#: next one has 25,000 objects at most to look at while everybody waits.
_COLLECT: Final = (5000, 5, 400)

#: Seconds after which a thread at work on a large message lets the event loop have its turn.  An answer takes several
#: turns, and with Python's own 0.005 each of them would be longer than the whole answer.
_TURN: Final = 0.0005


async def run(config: Config, file: Path, pid_file: Path | None = None, *, verbose: bool = False) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        file: where `config` was read, for messages.
        pid_file: gets the process identifier once everything listens.
        verbose: log what goes on, not only what goes wrong.

    Raises:
        ConfigError: one line that says what is wrong with the configuration, the models, the store or an address.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with contextlib.AsyncExitStack() as stack:
        core = _core(config, file)
        stack.callback(core.close)
        credentials = Credentials(config.users)
        if not config.yang.modules:
            # The domain's packages are large: a generic server does without them.
            from nms import domain

            credentials = await _domain(domain.start(core, _with_places(config, file.parent), stack), file)
        ticker = asyncio.create_task(_tick(core))
        stack.push_async_callback(_cancel, ticker)
        listening = [await start(core, config, credentials, stack) for start in _listeners(config)]
        if pid_file is not None:
            _write_pid(pid_file, stack)
        gc.collect()
        gc.freeze()
        memory.give_back()
        gc.set_threshold(*_COLLECT)
        sys.setswitchinterval(_TURN)
        sys.stdout.write(f"{config.domain.id} listens: {', '.join(listening)}\n")
        sys.stdout.flush()
        await stopped.wait()
        log.info("stopping")
    return 0


def _with_places(config: Config, folder: Path) -> Config:
    """`config` with places beside the file for what it names none for."""
    drivers = replace(config.drivers, state=config.drivers.state or folder / "drivers")
    packages = replace(config.packages, path=config.packages.path or folder / "packages")
    return replace(config, drivers=drivers, packages=packages)


async def _domain(starting: Awaitable[Credentials], file: Path) -> Credentials:
    """Start a domain; what is wrong with it is a matter of the file."""
    try:
        return await starting
    except RpcError as error:
        raise ConfigError(f"{file}: the domain cannot start: {error}") from None


def _core(config: Config, file: Path) -> Core:
    """The schema, the store and the core over them."""
    chosen = [_module(choice) for choice in config.yang.modules] or own_modules()
    path = [*config.yang.path, YANG_DIR]
    schema = load.load(path, [*PROTOCOL_MODULES, *chosen])
    try:
        initial = _startup(schema, config.store.startup) if config.store.startup else None
        return Core.create(schema, _journal(config.store), initial=initial)
    except (RpcError, RpcErrors) as error:
        first = error.errors[0] if isinstance(error, RpcErrors) else error
        raise ConfigError(f"{file}: [store] startup: {first}") from None


def _module(choice: ModuleChoice) -> str:
    return choice.name + (f":{','.join(choice.features)}" if choice.features else "")


def own_modules() -> list[str]:
    """Our own modules with all their features, as `nms.model.load.load` takes them."""
    return [f"{name}:*" for name in sorted({file.name.partition("@")[0] for file in YANG_DIR.glob("*.yang")})]


def _journal(store: Store) -> Journal:
    return MemoryJournal() if store.path is None else SqliteJournal(store.path, sync=store.sync)


def _startup(schema: Schema, file: Path) -> Value:
    """The configuration in an XML or JSON file."""
    try:
        text = file.read_bytes()
        if text.lstrip()[:1] == b"{":
            return json.decode(schema.root, orjson.loads(text))
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
        root = etree.fromstring(text, parser)
        if root.getroottree().docinfo.internalDTD is not None:
            raise ConfigError(f"{file}: a document type declaration is not allowed")
        if root.tag in schema.root.by_tag:  # a single top-level container without a wrapper
            wrapper = etree.Element("config")
            wrapper.append(root)
            root = wrapper
        return edits.apply(schema.root, schema.root.blank, xml.decode_edit(schema, root))
    except (orjson.JSONDecodeError, etree.XMLSyntaxError, OSError) as error:
        raise ConfigError(f"{file}: not XML or JSON instance data: {error}") from None


# ---------------------------------------------------------------- listeners

Start = Callable[[Core, Config, Credentials, contextlib.AsyncExitStack], Any]


def _listeners(config: Config) -> Sequence[Start]:
    """What the configuration wants to listen, in the order of the line that says so."""
    wanted = (
        (config.netconf.ssh, _ssh),
        (config.netconf.tls, _tls),
        (config.netconf.unix, _unix),
        (config.restconf, _restconf),
    )
    return [start for section, start in wanted if section is not None]


async def _ssh(core: Core, config: Config, credentials: Credentials, stack: contextlib.AsyncExitStack) -> str:
    section = config.netconf.ssh
    assert section is not None
    try:
        key = asyncssh.read_private_key(section.host_key)
    except (OSError, asyncssh.KeyImportError) as error:
        raise ConfigError(f"[netconf.ssh] host-key: {section.host_key}: {error}") from None
    with _address("netconf.ssh", section.listen):
        listener = await ssh.listen(
            core,
            [(section.listen.host, section.listen.port)],
            [key],
            authenticate_password=credentials.authenticate_password,
            authorized_keys=credentials.authorized_keys,
            principal=credentials.principal,
        )
    stack.push_async_callback(listener.stop)
    return _said("NETCONF over SSH on", listener.addresses)


async def _tls(core: Core, config: Config, credentials: Credentials, stack: contextlib.AsyncExitStack) -> str:
    section = config.netconf.tls
    assert section is not None
    try:
        context = tls.server_context(section.cert, section.key, section.client_ca)
    except OSError as error:
        raise ConfigError(f"[netconf.tls] cert, key or client-ca: {error}") from None
    with _address("netconf.tls", section.listen):
        listener = await tls.listen(
            core,
            [(section.listen.host, section.listen.port)],
            context,
            principal=credentials.authenticate_certificate,
        )
    stack.push_async_callback(listener.stop)
    credentials.believe(lambda certificate: context.load_verify_locations(cadata=certificate))
    return _said("NETCONF over TLS on", listener.addresses)


async def _unix(core: Core, config: Config, credentials: Credentials, stack: contextlib.AsyncExitStack) -> str:
    section = config.netconf.unix
    assert section is not None
    with _address("netconf.unix", section.path, key="path"):
        listener = await unix.listen(core, section.path, principal=credentials.principal)
    stack.callback(section.path.unlink, missing_ok=True)
    stack.push_async_callback(listener.stop)
    return _said("NETCONF on", listener.addresses)


async def _restconf(core: Core, config: Config, credentials: Credentials, stack: contextlib.AsyncExitStack) -> str:
    section = config.restconf
    assert section is not None
    found = entry_points(group="mec_nms.frontends", name="restconf")
    if not found:
        raise ConfigError("[restconf]: no front end of that name is installed; install the package mec-nms whole")
    start = next(iter(found)).load()
    with _address("restconf", section.listen):
        server = await start(
            core,
            listen=(section.listen.host, section.listen.port),
            tls=None if section.insecure else section,
            insecure=section.insecure,
            authenticate_password=credentials.authenticate_password,
            authenticate_certificate=credentials.authenticate_certificate,
            max_request=section.max_request,
            max_answer=section.max_answer,
        )
    stack.push_async_callback(server.close)
    credentials.believe(server.trust)
    return _said(f"RESTCONF ({'http' if section.insecure else 'https'}) on", server.addresses)


@contextlib.contextmanager
def _address(section: str, address: object, key: str = "listen") -> Any:
    try:
        yield
    except OSError as error:
        # asyncio's own words repeat the address; those of the resolver have numbers of their own
        reason = error.strerror or str(error)
        if error.errno and not isinstance(error, socket.gaierror):
            reason = os.strerror(error.errno)
        raise ConfigError(f"[{section}] {key}: cannot listen on {address}: {reason}") from None


def _said(what: str, addresses: Sequence[tuple[str, int] | str]) -> str:
    return f"{what} {' and '.join(a if isinstance(a, str) else f'{a[0]}:{a[1]}' for a in addresses)}"


# ---------------------------------------------------------------- upkeep


async def _tick(core: Core) -> None:
    """Let the core do what falls due; it says when, and a change may bring the time forward."""
    while True:
        due = core.next_tick()
        wait = 1.0 if due is None else min(1.0, max(0.0, (due - datetime.now(UTC)).total_seconds()))
        await asyncio.sleep(wait)
        try:
            # waits for the writer's turn, and a confirmed commit that is over is undone with an fsync: not in the loop
            await asyncio.to_thread(core.tick, datetime.now(UTC))
        except Exception:  # what could not be done, the disk being full perhaps, is tried again
            log.exception("what falls due could not be done")
            await asyncio.sleep(1.0)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _write_pid(file: Path, stack: contextlib.AsyncExitStack) -> None:
    try:
        file.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise ConfigError(f"--pid-file: {file}: {error.strerror}") from None
    stack.callback(file.unlink, missing_ok=True)
