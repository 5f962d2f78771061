"""<edit-config>, <copy-config>, <delete-config> and the writing methods of RESTCONF (RFC 6241 sections 7.2 to 7.4).

An edit is one transaction: with stop-on-error and rollback-on-error nothing of it is done when a part fails; with
continue-on-error whatever can be done is, down to the single instance, and every failure is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nms.errors import RpcError, RpcErrors
from nms.model import defaults, entries, select, tree
from nms.model import edit as edits_of
from nms.model.constraint_whens import without_false
from nms.model.edit import Edit
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.model.values import Key, Value
from nms.operations.context import OK, Answer, Context
from nms.operations.request import (
    CopyConfig,
    Datastore,
    DeleteConfig,
    EditConfig,
    Precondition,
    Reply,
    Request,
    Session,
)


def edit_config(context: Context, session: Session, request: EditConfig) -> Reply:
    """Apply edits to running, candidate or startup.

    Running must be valid afterwards; candidate only when it is validated or committed (RFC 7950 section 8.3.3).

    Raises:
        RpcError, RpcErrors: as RFC 6241 section 7.2; operation-failed with status 412 for a failed precondition.
    """
    outcomes: list[Reply | BaseException] = []
    begin(context, session, request, outcomes.append)
    (outcome,) = outcomes
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def can_share(request: Request) -> bool:
    """Can `request` be one of a group, which is judged before the others are in force?"""
    return (
        isinstance(request, EditConfig)
        and request.target == "running"
        and request.precondition is None
        and not _only_tests(request)
    )


def _only_tests(request: EditConfig) -> bool:
    return request.dry_run or request.test_option == "test-only"


def begin(context: Context, session: Session, request: EditConfig, answer: Answer) -> None:
    """`edit_config` whose outcome is given to `answer`, in a group when that ends.

    Raises:
        RpcError, RpcErrors: refused at once, and `answer` is not called.
    """
    guard, root_node = context.guard, context.schema.root
    resource = request.resource
    failures: list[RpcError] = []

    def failed(error: RpcError) -> None:
        failure = guard.discreet(session.principal, error)
        if all((failure.tag, failure.path) != (other.tag, other.path) for other in failures):
            failures.append(failure)

    def make(root: Value) -> Value:
        old = root
        if request.whole:
            root = _named(root_node, root, request.edits)
        if request.error_option == "continue-on-error":
            for edit in request.edits:
                root = _as_far_as_possible(root_node, root, edit, failed)
        elif request.counted:
            for number, edit in enumerate(request.edits):
                try:
                    root = edits_of.apply(root_node, root, [edit])
                except RpcError as error:
                    failure = guard.discreet(session.principal, error)
                    failure.edit = number
                    raise failure from None
        else:
            root = edits_of.apply(root_node, root, request.edits)
        return without_false(context.schema, old, root, request.edits)

    def check() -> None:
        if request.precondition is not None:
            _check_precondition(context, session, request.target, resource or (), request.precondition)

    def then(before: Value, after: Value, error: BaseException | None) -> None:
        if error is None and failures:
            error = failures[0] if len(failures) == 1 else RpcErrors(failures)
        if error is not None:
            answer(error)
        elif resource is None:
            answer(OK)
        else:
            created = tree.get(before, resource) is None and tree.get(after, resource) is not None
            etag, changed = guard.version(request.target, resource)
            answer(Reply(etag=etag, last_modified=changed, created=created))

    guard.change(
        session,
        request.target,
        make,
        "edit-config",
        check=check,
        test=_only_tests(request),
        validated=request.target != "candidate",
        then=then,
    )


def _named(root_node: Node, root: Value, edits: Sequence[Edit]) -> Value:
    """`root` without the top-level instances that no edit names."""
    named: dict[Node, set[Key | None]] = {}
    for edit in edits:
        named.setdefault(edit.node, set()).add(edit.key)
    slots: list[Value | None] = list(root_node.blank)
    for node, keys in named.items():
        held = root[node.index]
        if held is None or None in keys:
            slots[node.index] = held
        elif node.kind == "list":
            kept = [(key, entry) for key, entry in entries.items(held) if key in keys]
            slots[node.index] = entries.from_values(kept, ordered=node.user_ordered) if kept else None
        else:
            slots[node.index] = tuple(value for value in held if value in keys) or None
    return tuple(slots)


def _as_far_as_possible(root_node: Node, root: Value, edit: Edit, failed: Callable[[RpcError], None]) -> Value:
    """`root` after all of `edit` that can be done; `failed` hears of the rest."""
    try:
        return edits_of.apply(root_node, root, [edit])
    except RpcError as error:
        parts = _parts(edit)
        if not parts:
            failed(error)
    for part in parts:
        root = _as_far_as_possible(root_node, root, part, failed)
    return root


def _parts(edit: Edit) -> list[Edit]:
    """Edits that do the same one after the other; none where it stands or falls as a whole."""
    if edit.op not in ("merge", "none") or not edit.children:
        return []
    parts = _parts(edit.children[0]) if len(edit.children) == 1 else edit.children
    return [edit._replace(children=(part,)) for part in parts]


def _check_precondition(
    context: Context, session: Session, datastore: Datastore, path: InstancePath, wanted: Precondition
) -> None:
    """RFC 9110 section 13.2.2, in its order; what is hidden from the session does not exist for it."""
    etag, changed = context.guard.version(datastore, path)
    exists = context.guard.sees(session.principal, datastore, path)
    if wanted.if_match:
        holds = exists and ("*" in wanted.if_match or etag in map(_opaque, wanted.if_match))
    elif wanted.if_unmodified_since is not None:
        # An HTTP date has whole seconds.
        holds = exists and changed.replace(microsecond=0) <= wanted.if_unmodified_since
    else:
        holds = True
    if wanted.if_none_match:
        holds = holds and not (exists and ("*" in wanted.if_none_match or etag in map(_opaque, wanted.if_none_match)))
    if not holds:
        raise RpcError("operation-failed", "the resource is not as the request expects it", type="protocol", status=412)
    if wanted.exists and not context.guard.exists(datastore, path):
        missing = RpcError("data-missing", "there is no such instance", path=format_path(path))
        raise context.guard.discreet(session.principal, missing)


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')


def copy_config(context: Context, session: Session, request: CopyConfig) -> Reply:
    """Replace a whole datastore by another one or by a given configuration.

    What the session may not read of a source datastore it cannot copy; only to save running to startup nothing but the
    right to copy-config is needed (RFC 8341 section 3.2.6).  With defaults reported, values in use are written as if
    they had been set (RFC 6243 section 4.5.1); a value tagged as a default is one that is not set.
    """
    guard, root_node = context.guard, context.schema.root
    if request.source == request.target:
        raise RpcError("invalid-value", "source and target are the same datastore", type="protocol")
    if (request.source, request.target, request.with_defaults) == ("running", "startup", None):
        guard.change(session, "startup", lambda root: guard.store.running, "copy-config", validated=False, judged=False)
        return OK
    new = configuration(context, session, request.source)
    if request.with_defaults in ("report-all", "trim"):
        new = select.content(root_node, defaults.apply(context.schema, new, (), request.with_defaults), "config")
    validated = request.target != "candidate"
    guard.change(session, request.target, lambda root: new, "copy-config", validated=validated)
    return OK


def configuration(context: Context, session: Session, source: Datastore | Sequence[Edit]) -> Value:
    """The configuration of a datastore as the session may read it, or the one given as edits."""
    if isinstance(source, str):
        return context.guard.read(session.principal, source)
    return edits_of.apply(context.schema.root, None, source)


def delete_config(context: Context, session: Session, request: DeleteConfig) -> Reply:
    """Empty startup; the right to delete-config is all that is needed (RFC 8341 section 3.2.7).

    Raises:
        RpcError: invalid-value; running cannot be deleted, candidate is discarded instead.
    """
    if request.target != "startup":
        raise RpcError("invalid-value", f"{request.target} cannot be deleted", type="protocol")
    blank = context.schema.root.blank
    context.guard.change(session, request.target, lambda root: blank, "delete-config", validated=False, judged=False)
    return OK
