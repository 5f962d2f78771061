"""What an orchestrator does with a sound package: its image to the infrastructure, itself to the platform manager.

Both are held once for each content, however many packages of however many partners have it, and removed with the last.
It must not know deployments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from nms.errors import RpcError
from nms.mec import package
from nms.mec.lifecycle import Run
from nms.mec.onboarding import Onboarding
from nms.mec.partners import Partners
from nms.mec.parts import Parts
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm3, Mm4
from nms.mec.session import Members
from nms.mec.zones import OWN, UNDER_AGREEMENT


class Provisioning:
    """The steps."""

    def __init__(
        self,
        publisher: Publisher,
        onboarding: Onboarding,
        manager: Mm3 | None,
        vims: Mapping[str, Mm4],
        partners: Partners,
        parts: Parts,
    ) -> None:
        self._publisher = publisher
        self._onboarding = onboarding
        self._manager = manager
        self._vims = vims
        self._partners = partners
        self._parts = parts

    async def provide(self, run: Run) -> None:
        """Images to the infrastructure, the package to the platform manager; a broker has neither.

        A package whose image cannot be run here is of use all the same where partners may run it.
        """
        info, digest = run.memo["info"], run.wanted["digest"]
        image = info.descriptor[package.TOP]["sw-image"]
        wish = {"name": info.name, "digest": info.image.digest, "size": str(info.image.size), "format": image["format"]}
        for vim in self._vims.values():
            try:
                await vim.add_image(info.image.digest, wish, run.within)
            except RpcError as error:
                if error.tag != "operation-not-supported" or not self._partners.agreements():
                    raise
                run.reasons = [*run.reasons, error.message]
        if self._manager is not None:
            await self._manager.onboard(digest, {"digest": digest, "size": str(info.size)}, run.within)

    async def withhold(self, run: Run) -> None:
        """Remove both, where no other package has the same content; and what was handed over to partners."""
        entry = run.wanted or run.held
        digest = entry["digest"] if entry else ""
        if run.operation == "delete-package" and run.scope.own:
            image = run.held.get("state", {}).get("descriptor", {}).get("sw-image", {})
            unused = not self._image_elsewhere(run, image.get("checksum", {}).get("value", ""))
            for partner, agreement in self._partners.agreements():
                await self._parts.take_back(partner, agreement, {**run.held, "id": run.subject}, image=unused)
        if not digest or digest not in self._onboarding.content or self._others(run, digest):
            return
        info = await asyncio.to_thread(self._onboarding.verify, digest)
        if self._manager is not None:
            await self._manager.offboard(digest)
        for vim in () if self._image_elsewhere(run, info.image.digest) else self._vims.values():
            await vim.remove_image(info.image.digest)

    def _image_elsewhere(self, run: Run, digest: str) -> bool:
        """Whether another package, another version perhaps, has the same image."""
        return any(
            entry.get("state", {}).get("descriptor", {}).get("sw-image", {}).get("checksum", {}).get("value") == digest
            for entry in self._other_packages(run)
        )

    def _others(self, run: Run, digest: str) -> bool:
        """Whether another package, of whichever scope, has that content."""
        return any(entry.get("digest") == digest for entry in self._other_packages(run))

    def _other_packages(self, run: Run) -> Iterator[Members]:
        for scope in (OWN, *self._publisher.scopes(UNDER_AGREEMENT)):
            for entry in self._publisher.entries(f"{scope.base}/package"):
                if (scope, entry["id"]) != (run.scope, run.subject):
                    yield entry

    async def know(self, run: Run) -> None:
        """The package can be used."""
        self._onboarding.onboarded(run)
