"""Requests and replies: the one shape in which every front end asks the core for something.

NETCONF (RFC 6241) and RESTCONF (RFC 8040) are translated to these classes; `operations.dispatch` maps each to its
handler.  Nothing here knows XML framing, HTTP, sockets or clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from lxml import etree

from nms.model.annotated import Basis
from nms.model.edit import Edit
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.subtree import Selection
from nms.model.values import Value
from nms.notify.streams import Subscription

Datastore: TypeAlias = Literal["running", "candidate", "startup", "operational", "intended"]
Content: TypeAlias = Literal["all", "config", "nonconfig"]
WithDefaults: TypeAlias = Literal["report-all", "report-all-tagged", "trim", "explicit"]
RpcName: TypeAlias = tuple[str, str]  # (module, rpc)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.  `recovery` is the recovery session of RFC 8341 section 3.3: NACM does not bind it."""

    name: str
    groups: frozenset[str] = frozenset()
    recovery: bool = False


@dataclass(slots=True)
class Session:
    """One NETCONF session or one RESTCONF client (RFC 6022 section 2.1.3).

    Attributes:
        id: session-id, positive and unique while the daemon runs.
        protocol: identity name of ietf-netconf-monitoring's transport, e.g. "netconf-ssh", or "restconf".
        close: ends the session from outside (kill-session); called in any thread.
        on_close: what the core releases when the session ends (locks, subscriptions, confirmed commit).
        subscription: the last one of <create-subscription>; a session has one at a time.
        dynamic: whether <establish-subscription> has been used, which rules out the other kind (RFC 8640 section 3).
    """

    id: int
    principal: Principal
    protocol: str
    source_host: str
    login_time: datetime
    close: Callable[[str], None]
    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0
    on_close: list[Callable[[], None]] = field(default_factory=list)
    subscription: Subscription | None = None
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class SubtreeFilter:
    """RFC 6241 section 6: the children of `element` select."""

    element: etree._Element


@dataclass(frozen=True, slots=True)
class XPathFilter:
    """RFC 6241 section 8.9: `select` with the prefix -> namespace URI map in scope.

    Attributes:
        path: what `nms.model.xpath_instance.path` says of `select`, where it was asked: that costs a look-up only.
    """

    select: str
    namespaces: Mapping[str, str]
    path: InstancePath | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PathFilter:
    """The subtree of one instance (a RESTCONF resource); `fields` is RFC 8040 section 4.8.3, unparsed."""

    path: InstancePath
    fields: str = ""


#: A `Selection` is a subtree filter that is compiled already, to the depth of the request.
Filter: TypeAlias = SubtreeFilter | Selection | XPathFilter | PathFilter


@dataclass(frozen=True, slots=True)
class Precondition:
    """HTTP conditional request (RFC 9110 section 13), tested under the writer lock.

    Attributes:
        exists: the resource must be there, whatever the client asks for: data-missing otherwise.
    """

    if_match: tuple[str, ...] = ()
    if_none_match: tuple[str, ...] = ()
    if_unmodified_since: datetime | None = None
    exists: bool = False


class Page(NamedTuple):
    """Some of a list's entries or a leaf-list's values (draft-ietf-netconf-list-pagination).

    Attributes:
        limit: how many, None: all that are left.
        offset: how many are passed over.
        backwards: from the last one on.
    """

    limit: int | None = None
    offset: int = 0
    backwards: bool = False


class Get(NamedTuple):
    """<get> (datastore operational), <get-config>, <get-data>, RESTCONF GET.

    A PathFilter to an instance that does not exist is an RpcError invalid-value with status 404.

    Attributes:
        edited: the datastore that is written at the same resource, whose entity-tag is the one of configuration.
        page: of the whole list or leaf-list that a PathFilter names.
        origins: only configuration that comes from one of these identities, and state (RFC 8526 section 3.1.1).
        with_origin: say where the configuration in operational comes from (RFC 8342 section 5.3.4).
        rpc: which of them NETCONF's client called: NACM judges each by its own name.
    """

    datastore: Datastore = "operational"
    filter: Filter | None = None
    content: Content = "all"
    depth: int | None = None
    with_defaults: WithDefaults | None = None
    rpc: RpcName = ("ietf-netconf", "get")
    with_origin: bool = False
    origins: frozenset[str] | None = None
    edited: Datastore | None = None
    page: Page | None = None


class EditConfig(NamedTuple):
    """<edit-config>, <edit-data>, RESTCONF POST, PUT, PATCH, DELETE; `rpc` as in `Get`.

    Attributes:
        resource: what the precondition is about, and the reply tells of; None: of the datastore, and of nothing.
        counted: an error of an edit says which one it was (RFC 8072).
        whole: what the edits do not name goes, as default-operation replace wants.
    """

    target: Datastore
    edits: Sequence[Edit]
    test_option: Literal["test-then-set", "set", "test-only"] = "test-then-set"
    error_option: Literal["stop-on-error", "continue-on-error", "rollback-on-error"] = "stop-on-error"
    precondition: Precondition | None = None
    dry_run: bool = False
    resource: InstancePath | None = None
    counted: bool = False
    rpc: RpcName = ("ietf-netconf", "edit-config")
    whole: bool = False


@dataclass(frozen=True, slots=True)
class CopyConfig:
    """<copy-config>; `source` is a datastore or the decoded inline <config>."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "copy-config")
    source: Datastore | Sequence[Edit]
    target: Datastore
    with_defaults: WithDefaults | None = None


@dataclass(frozen=True, slots=True)
class DeleteConfig:
    """<delete-config> (startup only; running is refused by RFC 6241 section 7.4)."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "delete-config")
    target: Datastore


@dataclass(frozen=True, slots=True)
class Lock:
    """<lock>."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "lock")
    target: Datastore


@dataclass(frozen=True, slots=True)
class Unlock:
    """<unlock>."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "unlock")
    target: Datastore


@dataclass(frozen=True, slots=True)
class Validate:
    """<validate> of a datastore or of an inline <config>."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "validate")
    source: Datastore | Sequence[Edit]


@dataclass(frozen=True, slots=True)
class Commit:
    """<commit>, also confirmed (RFC 6241 section 8.4); `timeout` in seconds."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "commit")
    confirmed: bool = False
    timeout: int = 600
    persist: str | None = None
    persist_id: str | None = None


@dataclass(frozen=True, slots=True)
class CancelCommit:
    """<cancel-commit>."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "cancel-commit")
    persist_id: str | None = None


@dataclass(frozen=True, slots=True)
class DiscardChanges:
    """<discard-changes>."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "discard-changes")


@dataclass(frozen=True, slots=True)
class CloseSession:
    """<close-session>: the front end closes its transport after the reply."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "close-session")


@dataclass(frozen=True, slots=True)
class KillSession:
    """<kill-session>."""

    rpc: ClassVar[RpcName] = ("ietf-netconf", "kill-session")
    session_id: int


@dataclass(frozen=True, slots=True)
class GetSchema:
    """<get-schema> of RFC 6022; the reply's `text` is the module."""

    rpc: ClassVar[RpcName] = ("ietf-netconf-monitoring", "get-schema")
    identifier: str
    version: str | None = None
    format: str = "yang"


@dataclass(frozen=True, slots=True)
class CreateSubscription:
    """<create-subscription> of RFC 5277 and RESTCONF event streams; `sink` receives `nms.notify.streams.Notification`.

    `sink` is called in the publisher's thread and must not block.
    """

    rpc: ClassVar[RpcName] = ("notifications", "create-subscription")
    sink: Callable[[object], None]
    stream: str = "NETCONF"
    filter: SubtreeFilter | XPathFilter | None = None
    start_time: datetime | None = None
    stop_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where the notifications of dynamic subscriptions go (RFC 8639).

    Attributes:
        sink: receives `nms.notify.streams.Notification`, in the publisher's thread; must not block.
        encoding: of the request, and so of the notifications unless it asks for another.
        waiting: how many notifications the client has yet to take.
        ended: called when a subscription is over and nothing more comes.
        locate: the URI where the client gets the notifications of the subscription with an id (RFC 8650).
    """

    sink: Callable[[object], None]
    encoding: Literal["xml", "json"]
    waiting: Callable[[], int] = lambda: 0
    ended: Callable[[], None] = lambda: None
    locate: Callable[[int], str | None] = lambda number: None


@dataclass(frozen=True, slots=True)
class Invoke:
    """A model-defined rpc (`path` empty) or action (`path` is the data node it hangs on).

    Attributes:
        node: the rpc or action node; its `input` and `output` children are nodes.
        input: positional value of the input node, decoded and validated.
        receiver: takes the notifications of a subscription that the rpc establishes.
    """

    node: Node
    input: Value
    path: InstancePath = ()
    receiver: Receiver | None = field(default=None, compare=False)


Request: TypeAlias = (
    Get
    | EditConfig
    | CopyConfig
    | DeleteConfig
    | Lock
    | Unlock
    | Validate
    | Commit
    | CancelCommit
    | DiscardChanges
    | CloseSession
    | KillSession
    | GetSchema
    | CreateSubscription
    | Invoke
)


def announces(request: Request | Exception) -> bool:
    """May notifications that answer `request` come before it returns?  They must not overtake its reply."""
    return isinstance(request, CreateSubscription) or (isinstance(request, Invoke) and request.receiver is not None)


class Reply(NamedTuple):
    """What comes back.

    Attributes:
        node: the schema node whose children `data` holds (the schema's root for datastore contents; the rpc's
            output node for Invoke), None when the answer is just ok.
        data: positional value of `node` (see docs/architecture.md "Values"), already filtered by NACM and with
            with-defaults applied.
        basis: of the root, where `data` is to be encoded with annotations (`nms.model.annotated`).
        text: get-schema's module text.
        etag, last_modified: of the resource that was read or changed (RFC 8040 section 3.4.1); none of computed state.
        settled: while they stay, `data` does; state below configuration changes without them.
        created: the edit created its target (HTTP 201).
    """

    node: Node | None = None
    data: Value | None = None
    basis: Basis | None = None
    text: str | None = None
    etag: str = ""
    last_modified: datetime | None = None
    settled: bool = False
    created: bool = False
