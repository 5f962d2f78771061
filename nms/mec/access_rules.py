"""Access rules (RFC 8341) of those whom the domain lets in for one purpose: each sees what is its own, no more.

A rule list is made of an entry of the datastore and follows it; it stands before those of the operator, whose
permissions are meant for others, and ends with a rule that denies all else.  It must not know what is permitted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from nms.mec.publisher import Publisher
from nms.mec.session import SYSTEM, Core, DataEdit, Members, to_edit, value_at
from nms.model import edit as edits_of
from nms.model.edit import Edit, Insert
from nms.model.path import parse_path
from nms.operations.request import EditConfig

NACM: Final = "/ietf-netconf-acm:nacm"
#: Seconds before rules are written again that met a lock.
PAUSE: Final = 1.0
DENY_ALL: Final[Members] = {"name": "all else", "module-name": "*", "access-operations": "*", "action": "deny"}


def permit(name: str, path: str, operations: str) -> Members:
    """A rule about data; `path` with the module before every name, in predicates too."""
    return {"name": name, "path": path, "access-operations": operations, "action": "permit"}


class RuleLists:
    """The rule lists whose name is `prefix`, or begins with it and a hyphen."""

    def __init__(self, core: Core, publisher: Publisher, prefix: str) -> None:
        self._core = core
        self._publisher = publisher
        self._prefix = prefix
        self._own = core.open_session(SYSTEM, "local", "", lambda reason: None)

    async def keep(self, rules: Mapping[str, Sequence[Members]], users: Mapping[str, str] | None = None) -> None:
        """Have these rule lists, each for the group of the same name, and no others.  Raises `RpcError`: a lock.

        Args:
            rules: by name; those of a shorter name are judged after those of a longer one.
            users: by the group that they are configured to be in; other groups are known from whoever logs in.
        """
        edits = [*self._edits(rules), *self._groups(users or {})]
        if edits:
            await asyncio.to_thread(self._core.dispatch, self._own, EditConfig("running", edits))

    def close(self) -> None:
        """Give the session back; the rules stay."""
        self._core.close_session(self._own)

    def _ours(self, name: str) -> bool:
        return name == self._prefix or name.startswith(f"{self._prefix}-")

    def _edits(self, rules: Mapping[str, Sequence[Members]]) -> Iterator[Edit]:
        present = {each["name"]: each for each in self._publisher.entries(f"{NACM}/rule-list")}
        schema = self._publisher.schema
        for name in present:
            if self._ours(name) and name not in rules:
                yield to_edit(schema, NACM, DataEdit(f"/rule-list[name='{name}']", "remove"))
        # Each is put first, so that the longest name comes to stand foremost.
        for name in sorted(rules, key=len):
            wanted = {"name": name, "group": [name], "rule": list(rules[name])}
            if present.get(name) != wanted:
                where = parse_path(schema, f"{NACM}/rule-list[name='{name}']")
                yield edits_of.at(where, "replace", value_at(where, wanted), Insert("first"))

    def _groups(self, users: Mapping[str, str]) -> Iterator[Edit]:
        present = {each["name"]: each for each in self._publisher.entries(f"{NACM}/groups/group")}
        schema = self._publisher.schema
        for name in present:
            if self._ours(name) and name not in users:
                yield to_edit(schema, NACM, DataEdit(f"/groups/group[name='{name}']", "remove"))
        for name, user in users.items():
            group = {"name": name, "user-name": [user]}
            if present.get(name) != group:
                yield to_edit(schema, NACM, DataEdit(f"/groups/group[name='{name}']", "replace", group))
