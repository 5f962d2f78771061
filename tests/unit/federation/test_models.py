"""What a partner's other revisions amount to: its texts beside ours, whoever has the younger one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from nms.errors import RpcError
from nms.federation.models import UNKNOWN, Mismatch, compare, mismatches, shown, told
from nms.model.schema import Schema
from tests.federation.two_domains import schema

YOUNGER, OLDER = "2099-01-01", "2020-01-01"


class Partner:
    """Has our modules with a little changed: module -> what stands for what.

    Attributes:
        asked: modules whose text it was asked for.
    """

    def __init__(self, ours: Schema, changed: Mapping[str, tuple[str, str]]) -> None:
        self.asked: list[str] = []
        self._ours = ours
        self._changed = changed

    async def schema(self, name: str, revision: str) -> bytes:
        self.asked.append(name)
        if name not in self._changed:
            raise RpcError("data-missing", f"no {name}")
        old, new = self._changed[name]
        text = self._ours.modules[name].file.read_text()
        assert old in text
        marked = f'revision {revision} {{ description "Other."; }}\n  revision 2026'
        return text.replace(old, new).replace("revision 2026", marked, 1).encode()


def test_the_younger_text_is_judged_as_successor_of_the_older() -> None:
    ours = schema()
    partner = Partner(
        ours,
        {
            "mec-system": ("A whole MEC system", "All of a MEC system"),
            "mec-catalogue": ("  container catalogue {", "  leaf motto { type string; }\n  container catalogue {"),
            "mec-sla": ("leaf warning-margin {", "leaf margin {"),
            "mec-pricing": ("  container pricing {", "  leaf motto { type string; }\n  container pricing {"),
        },
    )
    found = {
        "mec-system": YOUNGER, "mec-catalogue": YOUNGER, "mec-sla": YOUNGER, "mec-pricing": OLDER,
        "mec-order": OLDER, "mec-types": "",
    }  # fmt: skip
    verdicts = asyncio.run(compare(partner, ours, found, {}))
    assert {name: each.difference for name, each in verdicts.items()} == {
        "mec-system": "editorial", "mec-catalogue": "compatible", "mec-sla": "breaking",
        "mec-pricing": "breaking",  # ours, the younger one, lacks what the older one has
        "mec-order": "unknown", "mec-types": "missing",
    }  # fmt: skip
    assert "mec-system" not in told(verdicts)
    assert "mec-sla (breaking)" in told(verdicts)
    assert {"module": "mec-types", "difference": "missing"} in shown(verdicts)


def test_what_is_known_is_not_asked_for_again() -> None:
    ours = schema()
    partner = Partner(ours, {})
    before = {"mec-sla": Mismatch(YOUNGER, "compatible"), "mec-order": Mismatch(YOUNGER, UNKNOWN)}
    found = {"mec-sla": YOUNGER, "mec-order": YOUNGER, "mec-system": YOUNGER}
    verdicts = asyncio.run(compare(partner, ours, found, before))
    assert verdicts["mec-sla"] == before["mec-sla"]
    assert partner.asked == ["mec-order", "mec-system"]


def test_nonsense_is_not_compared() -> None:
    ours = schema()
    partner = Partner(ours, {"mec-sla": ("module mec-sla {", "module mec-sla { bricks;")})
    assert asyncio.run(compare(partner, ours, {"mec-sla": YOUNGER}, {}))["mec-sla"].difference == UNKNOWN


def test_revisions_that_agree() -> None:
    ours = schema()
    revisions = {name: module.revision for name, module in ours.modules.items()}
    library = {"module-set": [{"module": [{"name": name, "revision": each} for name, each in revisions.items()]}]}
    assert mismatches(ours, library, ["mec-system", "mec-types"]) == {}
