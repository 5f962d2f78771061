"""Each configuration node of our models has a provider in a running domain, or stands in `unowned.txt`.

A node that is added without an owner fails here, and so does one of the list that has got an owner since.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from nms.management.provider import Management
from tests.federation.two_domains import domains, schema
from tools.model.check import check
from tools.models import YANG

KNOWN = Path(__file__).with_name("unowned.txt")


def test_configuration_has_owners(tmp_path: Path) -> None:
    async def providers() -> set[str]:
        found: tuple[Any, ...]
        async with domains(tmp_path, schema(), names=("a",)) as found:
            return {path for _, paths in found[0].core.store.providers for path in paths}

    owners = asyncio.run(providers()) | set(Management.paths)  # made by the daemon, not by the domain
    assert "/mec-order:orders/mec-order:order" in owners
    findings = check([YANG], owners=owners)
    said = "".join(sorted(f"{finding.message.split()[1]}\n" for finding in findings if finding.code == "NMS701"))
    if os.environ.get("MEC_NMS_GOLDEN") == "1":
        KNOWN.write_text(said, "utf-8")
    assert said == KNOWN.read_text("utf-8")
