"""On-boarding of application packages (ETSI GS MEC 010-2, clause 6.3): CREATED, UPLOADING, PROCESSING, ONBOARDED.

The steps that orchestrator and platform manager have in common: get the content by its digest, check it from end to
end, show its descriptor.  What the block does with a sound package is its own.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nms.errors import RpcError
from nms.mec import package
from nms.mec.lifecycle import Run
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher
from nms.mec.scope import Intent
from nms.mec.session import Members
from nms.mec.transfer import Transfers, file_of
from nms.model import constraints, json, tree

CHANGED = "mec-system:package-changed"


class Onboarding:
    """Common steps.

    Args:
        trusted_keys: files of public keys or certificates (PEM) whose signature counts.
        require_signature: refuse packages that none of them has signed.
        notify: whether mec-system:package-changed is sent.
    """

    def __init__(
        self,
        publisher: Publisher,
        transfers: Transfers,
        trusted_keys: Sequence[Path] = (),
        require_signature: bool = False,
        notify: bool = False,
    ) -> None:
        self._publisher = publisher
        self._transfers = transfers
        self.content = transfers.store
        self._trusted_keys = trusted_keys
        self._require_signature = require_signature
        self._notify = notify

    # -- what a commit may ask

    def check(self, intent: Intent, *, busy: bool, max_size: int | None = None) -> None:
        """Refuse what cannot be on-boarded or removed.  Raises `RpcError`.

        Args:
            busy: whether instances of it exist or are being made or ended.
            max_size: largest package that the asker may bring, in bytes.
        """
        where = intent.scope.base + intent.path
        if intent.new is None:
            if busy:
                raise RpcError("in-use", f"package {intent.id} is in use; terminate its instances first", path=where)
            return
        if "digest" not in intent.new:
            raise RpcError("invalid-value", f"package {intent.id} needs its digest", path=where)
        if intent.old is not None and _identity(intent.old) != _identity(intent.new):
            raise RpcError(
                "operation-not-supported", f"package {intent.id} cannot become another one; use a new id", path=where
            )
        if not intent.scope.own and file_of(intent.new.get("source", "")) is not None:
            raise RpcError("access-denied", "a partner's package cannot come from a file of this domain", path=where)
        if max_size is not None and int(intent.new.get("size", max_size)) > max_size:
            raise RpcError("too-big", f"package {intent.id} is larger than the {max_size} bytes agreed", path=where)

    def created(self, intent: Intent) -> None:
        """Show a package that is known by its entry only."""
        path = f"{intent.scope.base}{intent.path}/state"
        self._publisher.state(path, {"onboarding-state": "mec-types:created", "usage-state": "mec-types:not-in-use"})

    # -- steps

    async def transfer(self, run: Run) -> None:
        """The content is here."""
        digest, uri = run.wanted["digest"], run.wanted.get("source", "")
        size = int(run.wanted.get("size", 0))

        def progress(arrived: int) -> None:
            before = run.progress
            run.within(100 * arrived // size if size else 0)
            if run.progress != before or arrived in (0, size):
                self.show(run, "uploading", {"bytes-transferred": str(arrived)}, durable=False)

        await self._transfers.take_in(digest, uri, size, run.scope.partner, progress)

    async def check_content(self, run: Run) -> None:
        """The package is whole, signed as it must be, and its descriptor makes sense."""
        self.show(run, "processing", durable=False)
        info = run.memo["info"] = await asyncio.to_thread(self.verify, run.wanted["digest"])
        run.within(50)
        if info.image.digest not in self.content:
            await asyncio.to_thread(self._extract, info)

    def verify(self, digest: str) -> package.PackageInfo:
        """Check a package of the store; blocks.  Raises `RpcError`."""
        keys = [path.read_bytes() for path in self._trusted_keys]
        path = self.content.path(digest)
        return package.verify(path, keys, allow_unsigned=not self._require_signature, validate=self._validate)

    def _extract(self, info: package.PackageInfo) -> None:
        with tempfile.TemporaryFile() as file:
            package.extract(self.content.path(info.digest), info, info.image.path, file)
            file.seek(0)
            self.content.add(file)

    def _validate(self, document: Mapping[str, Any]) -> None:
        """The descriptor is a valid instance of mec-app-descriptor.  Raises `RpcError`."""
        schema = self._publisher.schema
        node, value = json.decode_member(schema.root, package.TOP, document[package.TOP])
        root = tree.put(schema.root, schema.root.blank, ((node, None),), value)
        if violations := constraints.validate(schema, root, config=True):
            raise violations[0]

    # -- what is seen

    def onboarded(self, run: Run) -> None:
        """Show a package that can be used."""
        info: package.PackageInfo = run.memo["info"]
        size = self.content.path(info.digest).stat().st_size
        held = (self._publisher.read(run.entry) or {}).get("state", {})
        extra = {
            "bytes-transferred": str(size),
            "progress": 100,
            "onboarded-at": self._publisher.now(),
            "usage-state": held.get("usage-state", "mec-types:not-in-use"),
            "descriptor": info.descriptor[package.TOP],
            **({"signed-by": info.signed_by} if info.signed_by else {}),
        }
        self.show(run, "onboarded", extra)

    def failed(self, run: Run) -> None:
        """Show a package that could not be on-boarded."""
        self.show(run, "failed", {"error": dict(run.error)})

    def show(self, run: Run, state: str, extra: Mapping[str, Any] | None = None, *, durable: bool = True) -> None:
        """State of on-boarding, at the entry and to whoever listens."""
        members: Members = {"onboarding-state": f"mec-types:{state}", "progress": run.progress, **(extra or {})}
        members.setdefault("usage-state", "mec-types:not-in-use")
        if self._publisher.state(f"{run.entry}/state", members, durable=durable) and self._notify:
            told = {name: value for name, value in members.items() if name in _TOLD}
            told["operational-state"] = run.wanted.get("operational-state", "mec-types:enabled")
            self._publisher.notify(run.scope, CHANGED, {"package": run.subject, **told})


_TOLD = ("onboarding-state", "usage-state", "bytes-transferred", "error")


def _identity(entry: Members) -> object:
    return entry.get("digest")


def descriptor_of(package: Mapping[str, Any] | None, id: str, where: str) -> Members:
    """The descriptor of an on-boarded package.

    Args:
        package: the entry with its state.

    Raises:
        RpcError: data-missing.
    """
    if package is None:
        raise RpcError("data-missing", f"there is no package {id}; on-board it first", path=where)
    state = package.get("state", {})
    known = plain(state.get("onboarding-state", "created"))
    if known != "onboarded":
        raise RpcError("data-missing", f"package {id} is {known}, not onboarded; wait or on-board it again", path=where)
    descriptor: Members = state["descriptor"]
    return descriptor


def usable(package: Mapping[str, Any] | None, id: str, where: str) -> Members:
    """As `descriptor_of`, where new instances may be made.  Raises `RpcError`: operation-failed (disabled)."""
    descriptor = descriptor_of(package, id, where)
    if plain((package or {}).get("operational-state", "enabled")) != "enabled":
        raise RpcError("operation-failed", f"package {id} is disabled; enable it first", path=where, status=409)
    return descriptor
