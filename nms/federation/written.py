"""What a partner took of us last: the agreed side of the three-way comparison (`nms.mec.reconcile`).

A tree like any other: every edit that the partner has confirmed is applied to it, so it holds what its datastore would
hold if nobody but us had written there.  It is published entry by entry below the agreement, durably, so that a restart
of the daemon does not make a stranger's change look agreed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson

from nms.errors import RpcError
from nms.federation.options import INTENTS, RULES
from nms.mec.entry import Entry, entry_of, path_of
from nms.mec.publisher import Publisher
from nms.mec.scope import agreement_path
from nms.mec.session import DataEdit, Members, members_at, to_edit
from nms.model import edit as edits_of
from nms.model import tree
from nms.model.path import parse_path
from nms.model.values import Value

log = logging.getLogger(__name__)

_KINDS: Final = tuple(
    f"{container}/{name}"
    for container, names in INTENTS.items()
    for name in (*names, *RULES.get(container, ()))
    if name != "relocation"  # a wish, which nothing is left of when it is fulfilled
)


class Written:
    """Of one agreement; called in the event loop.

    Args:
        key: (partner, agreement).
    """

    def __init__(self, publisher: Publisher, key: tuple[str, str]) -> None:
        self._publisher = publisher
        self._schema = publisher.schema
        self._base = agreement_path(*key)
        self._where = parse_path(self._schema, self._base)
        node, name = self._where[-1]
        self._root: Value = tree.put(self._schema.root, None, self._where, tree.blank_entry(node, name))
        for held in publisher.entries(f"{self._base}/agreed-entry"):
            entry = (held["kind"], held["subject"])
            try:
                self._apply([DataEdit(path_of(entry), "replace", orjson.loads(held["content"]))])
            except RpcError as error:  # written by another version of the models: it will be asked for anew
                log.info("what %s took as %s cannot be read: %s", key[0], path_of(entry), error)

    def note(self, edits: Sequence[DataEdit]) -> None:
        """The partner has confirmed `edits` (paths below the agreement)."""
        # That it was there already, with the same content, is what makes a repeated "create" succeed.
        self._apply([replace(each, operation="replace") if each.operation == "create" else each for each in edits])
        for kind, subject in dict.fromkeys(filter(None, map(self._touched, edits))):
            members = members_at(self._root, parse_path(self._schema, self._base + path_of((kind, subject))))
            where = f"{self._base}/agreed-entry[kind='{kind}'][subject='{subject}']"
            self._publisher.state(where, None if members is None else {"content": orjson.dumps(members).decode()})

    def _touched(self, edit: DataEdit) -> Entry | None:
        below = parse_path(self._schema, self._base + edit.path)[len(self._where) :]
        if len(below) < 2:
            return None  # nobody writes a whole model at a partner
        (container, _), (node, key) = below[:2]
        kind = f"{container.module}:{container.name}/{node.name}"
        return (kind, "/".join(map(str, node.key_values(key)))) if kind in _KINDS else None

    def entries(self) -> dict[Entry, Members]:
        """All entries of lists of intents, with their content."""
        found: dict[Entry, Members] = {}
        for kind in _KINDS:
            held = members_at(self._root, parse_path(self._schema, f"{self._base}/{kind}"))
            for members in () if held is None else next(iter(held.values())):
                found[entry_of(kind, members)] = members
        return found

    def _apply(self, edits: Sequence[DataEdit]) -> None:
        made = [to_edit(self._schema, self._base, each) for each in edits]
        self._root = edits_of.apply(self._schema.root, self._root, made)
