"""The filters of subscriptions: those a subscriber sends and those configured at /filters (RFC 8639 section 2.2).

As a provider it refuses configured filters that mean nothing, and configured subscriptions, which are not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from nms.access.guard import Transaction
from nms.errors import RpcError
from nms.model import anydata, subtree, tree, xpath
from nms.model.diff import Change
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.model.values import AnyData, Value
from nms.notify import selection
from nms.notify.refusal import NOTIFICATIONS, PUSH, Operation, refusal
from nms.notify.selection import Selection
from nms.notify.streams import Notification
from nms.notify.terms import Terms, read
from nms.operations.context import Context
from nms.operations.request import Principal
from nms.operations.subscribe import record

_FILTERS: Final = f"/{NOTIFICATIONS}:filters"
_SUBSCRIPTIONS: Final = f"/{NOTIFICATIONS}:subscriptions"
#: The parameter that refers to a configured filter, and the list it is in.
_REFERENCES: Final = {
    "stream-filter-name": f"{_FILTERS}/stream-filter",
    "selection-filter-ref": f"{_FILTERS}/{PUSH}:selection-filter",
}

#: Of a subscriber's subtree filter, which is applied to every change.
MOST_ELEMENTS: Final = 1_000

Matches = Callable[[Notification], bool]


class Filters:
    """Filters of one server, ready for use."""

    def __init__(self, context: Context) -> None:
        self.paths: tuple[str, ...] = (_FILTERS, _SUBSCRIPTIONS)
        self._context = context
        self._schema = context.schema
        modules = context.schema.modules.values()
        # RFC 8641: module names; the modules' own prefixes besides, where they are not taken
        self._namespaces = {m.prefix: m.namespace for m in modules} | {m.name: m.namespace for m in modules}
        self._touched: set[tuple[str, Any]] = set()
        self._lists = {name: context.schema.find(path) for name, path in _REFERENCES.items()}

    def datastore(self, principal: Principal, terms: Terms, operation: Operation) -> Selection:
        """The selection that the terms of a subscription to a datastore ask for.

        Raises:
            RpcError: filter-unsupported.
        """
        name, value = self._resolved(principal, terms, operation)
        try:
            return self._selection(principal, name, value)
        except RpcError as error:
            raise _unsupported(operation, error) from None

    def _selection(self, principal: Principal | None, name: str, value: Any) -> Selection:
        if name.endswith("subtree-filter"):
            return selection.subtree(self._schema, self._element(value))
        if name.endswith("xpath-filter"):
            context = self._context
            user = principal.name if principal is not None else ""
            return selection.by_xpath(
                self._schema,
                value,
                self._namespaces,
                lambda: context.allowance.evaluation(context.schema, user, context.clock()),
                context.limits.filter_work,
            )
        return selection.everything()

    def events(self, principal: Principal, terms: Terms, operation: Operation) -> Matches:
        """Whether an event record passes the filter that the terms of a subscription to a stream ask for.

        What is given raises resource-denied when the filter takes too much.

        Raises:
            RpcError: filter-unsupported.
        """
        name, value = self._resolved(principal, terms, operation)
        try:
            return self._matches(principal, name, value)
        except RpcError as error:
            raise _unsupported(operation, error) from None

    def _matches(self, principal: Principal | None, name: str, value: Any) -> Matches:
        context = self._context
        user = principal.name if principal is not None else ""
        if name.endswith("subtree-filter"):
            element = self._element(value)
            compiled = {id(s): subtree.compile(s.root, element) for s in (context.events, context.schema)}

            def by_subtree(notification: Notification) -> bool:
                schema, root = record(context, notification)
                with context.allowance.evaluation(schema, user, notification.time) as work:
                    return bool(compiled[id(schema)].of(root, work) != schema.root.blank)

            return by_subtree
        if name.endswith("xpath-filter"):
            tests = {
                id(schema): xpath.compile_text(schema, value, self._namespaces)
                for schema in (context.events, context.schema)
            }

            def by_xpath(notification: Notification) -> bool:
                schema, root = record(context, notification)
                with context.allowance.evaluation(schema, user, notification.time) as evaluation:
                    return tests[id(schema)].boolean(xpath.root_cursor(schema, root), evaluation)

            return by_xpath
        return lambda notification: True

    def _element(self, value: AnyData) -> Any:
        try:
            element = selection.element_of(anydata.to_xml(value, self._schema.root.names))
        except RecursionError:
            raise RpcError("invalid-value", "the subtree filter is nested too deeply") from None
        if sum(1 for _ in element.iter()) > MOST_ELEMENTS:
            raise RpcError("resource-denied", f"a subscriber's subtree filter has at most {MOST_ELEMENTS} elements")
        return element

    def _resolved(self, principal: Principal, terms: Terms, operation: Operation) -> tuple[str, Any]:
        """Name and value of the filter itself; ("", None) for none."""
        name, value = terms.filter or ("", None)
        listed = self._lists.get(name)
        if listed is None:
            return name, value
        path = (*((node, None) for node in tree.route(listed)[:-1]), (listed, value))
        entry = tree.get(self._context.guard.store.root("running"), path)
        if entry is None or not self._context.guard.may_read(principal, path):
            message = f"there is no filter {value!r}"
            raise refusal(operation, "filter-unsupported", message, filter_failure_hint=message)
        return _filter_of(listed, entry)

    # ------------------------------------------------------------ configuration

    def touched(self) -> set[tuple[str, Any]]:
        """The references, name and key, to configured filters that the last commit changed; once."""
        found, self._touched = self._touched, set()
        return found

    def _references(self, changes: Iterable[Change]) -> set[tuple[str, Any]]:
        found: set[tuple[str, Any]] = set()
        for change in changes:
            for name, listed in self._lists.items():
                found.update((name, key) for node, key in change.path if node is listed and key is not None)
        return found

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Refuse filters that mean nothing, and configured subscriptions.

        Raises:
            RpcError: invalid-value, operation-not-supported.
        """
        for change in changes:
            if change.path[0][0].name == "subscriptions" and change.new is not None:
                message = "subscriptions cannot be configured here: establish them"
                raise RpcError("operation-not-supported", message, path=format_path(change.path))
        for name, key in self._references(changes):
            listed = self._lists[name]
            path: InstancePath = (*((node, None) for node in tree.route(listed)[:-1]), (listed, key))
            entry = tree.get(tx.new, path)
            if entry is None:
                continue
            kind, value = _filter_of(listed, entry)
            try:
                self._matches(None, kind, value) if kind.startswith("stream") else self._selection(None, kind, value)
            except RpcError as error:
                raise RpcError("invalid-value", error.message, path=format_path(path)) from None

    def abort(self, tx: Transaction) -> None:
        """Nothing was reserved."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Note what `touched` tells when the commit is done."""
        self._touched = self._references(changes)


def _filter_of(listed: Node, entry: Value) -> tuple[str, Any]:
    """Name and value of the filter that an entry of a list of filters holds."""
    members: Mapping[str, Any] = read(listed, entry)
    return next(((name, held) for name, held in members.items() if name.endswith("-filter")), ("", None))


def _unsupported(operation: Operation, error: RpcError) -> RpcError:
    why = error.message.partition(" (declared")[0]  # not all the prefixes there are
    return refusal(operation, "filter-unsupported", why, filter_failure_hint=why)
