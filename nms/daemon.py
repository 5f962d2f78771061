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
import resource
import signal
import sys
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
from lxml import etree

from nms import memory
from nms.config import YANG_DIR, Config, ModuleChoice, Store
from nms.credentials import Credentials, authorities
from nms.datastore.journal import Journal
from nms.datastore.journal_memory import MemoryJournal
from nms.datastore.journal_sqlite import SqliteJournal
from nms.errors import ConfigError, RpcError, RpcErrors
from nms.limits import Limits
from nms.listeners import Listeners
from nms.management.provider import Management
from nms.management.settings import MODULE
from nms.model import edit as edits
from nms.model import json, load, xml_edit
from nms.model.schema import Schema
from nms.model.values import Value
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.transport.door import Door

log = logging.getLogger(__name__)

#: Of our own modules the one that says something about any server.
_SELF: Final = "mec-nms-validation"

#: Collections of the young generation come this rarely because trees are tuples, which it need not track for long; the
#: next one has 25,000 objects at most to look at while everybody waits.
_COLLECT: Final = (5000, 5, 400)

#: Seconds after which a thread at work on a large message lets the event loop have its turn.  An answer takes several
#: turns, and with Python's own 0.005 each of them would be longer than the whole answer.
_TURN: Final = 0.0005

#: Open files that are no clients' connections: partners', the store, drivers.
SPARE_FILES: Final = 1024


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
    gc.set_threshold(*_COLLECT)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with contextlib.AsyncExitStack() as stack:
        limits = _limits(config)
        core = _core(config, file, limits)
        stack.callback(core.close)
        credentials = Credentials(config.users, authorities=authorities(config.client_authorities))
        if not config.yang.modules:
            # The domain's packages are large: a generic server does without them.
            from nms import domain

            credentials = await _domain(domain.start(core, _with_places(config, file.parent), stack), file)
        ticker = asyncio.create_task(_tick(core))
        stack.push_async_callback(_cancel, ticker)
        _allow_files(limits.sessions + limits.logins + (limits.connections if config.restconf is not None else 0))
        door = Door(limits)
        listeners = Listeners(core, config, credentials, door, stack)
        listening = await listeners.start()
        if MODULE in core.schema.modules:
            management = Management(core, credentials, listeners, door)
            stack.push_async_callback(management.close)
            management.start()
        if pid_file is not None:
            _write_pid(pid_file, stack)
        gc.collect()
        gc.freeze()
        memory.give_back()
        sys.setswitchinterval(_TURN)
        sys.stdout.write(f"{config.domain.id} listens: {', '.join(listening)}\n")
        sys.stdout.flush()
        await stopped.wait()
        log.info("stopping")
    return 0


def _allow_files(connections: int) -> None:
    """Let the process hold so many connections, beside what else it opens, as far as the system allows."""
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log.warning(
                "the system allows %d open files; sessions, logins and connections of [limits] want %d", allowed, wanted
            )


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


def _limits(config: Config) -> Limits:
    """The limits of the file; two of RESTCONF's stand in its own table."""
    limits, restconf = Limits(**vars(config.limits)), config.restconf
    if restconf is None:
        return limits
    return replace(
        limits,
        max_request=restconf.max_request or limits.max_request,
        max_answer=restconf.max_answer or limits.max_answer,
    )


def _core(config: Config, file: Path, limits: Limits) -> Core:
    """The schema, the store and the core over them."""
    chosen = [*map(_module, config.yang.modules), _SELF] if config.yang.modules else own_modules()
    path = [*config.yang.path, YANG_DIR]
    schema = load.load(path, [*PROTOCOL_MODULES, *chosen])
    try:
        initial = _startup(schema, config.store.startup) if config.store.startup else None
        return Core.create(schema, _journal(config.store), initial=initial, limits=limits)
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
        return edits.apply(schema.root, schema.root.blank, xml_edit.decode_edit(schema, root))
    except (orjson.JSONDecodeError, etree.XMLSyntaxError, OSError) as error:
        raise ConfigError(f"{file}: not XML or JSON instance data: {error}") from None


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
