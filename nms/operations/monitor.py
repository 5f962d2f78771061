"""What the server says about itself: ietf-netconf-monitoring with get-schema (RFC 6022), the YANG library (RFC 8525,
and modules-state of RFC 7895), ietf-restconf-monitoring (RFC 8040 section 9), the event streams of RFC 5277, and our
own mec-nms-validation.

Each is computed state: `publish_sources` ties it to the place in operational where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from nms.errors import RpcError
from nms.model import json
from nms.model.schema import Module, Schema
from nms.model.values import Value
from nms.operations.context import Context, Counters
from nms.operations.request import GetSchema, Reply, Session

_MONITORING: Final = "ietf-netconf-monitoring"
_LIBRARY: Final = "ietf-yang-library"
_DATASTORES: Final = ("running", "candidate", "startup", "operational", "intended")

_YANG_1_1: Final = re.compile(r"""^\s*yang-version\s+["']?1\.1["']?\s*;""", re.MULTILINE)
_WITH_DEFAULTS: Final = "basic-mode=explicit&also-supported=report-all,report-all-tagged,trim"


def netconf_capabilities(schema: Schema) -> list[str]:
    """The capability URIs of <hello> (RFC 6241 section 8.1): the protocol's, the YANG library's, and YANG 1.0 modules'.

    Modules of YANG 1.1 are in the library alone, whose content-id says whether it needs reading (RFC 7950 section
    5.6.4).
    """
    netconf = "urn:ietf:params:netconf"
    capability = f"{netconf}:capability"
    library = schema.modules.get(_LIBRARY)
    uris = [
        f"{netconf}:base:1.0",
        f"{netconf}:base:1.1",
        f"{capability}:writable-running:1.0",
        f"{capability}:candidate:1.0",
        f"{capability}:confirmed-commit:1.1",
        f"{capability}:rollback-on-error:1.0",
        f"{capability}:validate:1.1",
        f"{capability}:xpath:1.0",
        f"{capability}:notification:1.0",
        f"{capability}:interleave:1.0",
        f"{capability}:with-defaults:1.0?{_WITH_DEFAULTS}",
        f"{capability}:with-operational-defaults:1.0?{_WITH_DEFAULTS}",  # RFC 8526 section 3.1.1.2
    ]
    if library is not None:
        uris.append(f"{capability}:yang-library:1.1?revision={library.revision}&content-id={schema.content_id}")
    return uris + _version_1_modules(schema)


def _version_1_modules(schema: Schema) -> list[str]:
    """The capability URIs of RFC 6020 section 5.6.4."""
    uris: list[str] = []
    for module in schema.modules.values():
        if not module.implemented or _YANG_1_1.search(module.file.read_text(encoding="utf-8")):
            continue
        parts = {"revision": module.revision, "features": ",".join(module.features)}
        parts["deviations"] = ",".join(module.deviations)
        query = "".join(f"&{name}={value}" for name, value in parts.items() if value)
        uris.append(f"{module.namespace}?module={module.name}{query}")
    return uris


def restconf_capabilities() -> list[str]:
    """The capability URIs of RFC 8040 section 9.1.1, RFC 8072 and RFC 8527."""
    capability = "urn:ietf:params:restconf:capability"
    names = (
        *("depth", "fields", "filter", "replay", "with-defaults"),
        "yang-patch",  # RFC 8072 section 4.3
        *("with-operational-defaults", "with-origin"),  # RFC 8527 section 3.2
    )
    return [f"{capability}:defaults:1.0?basic-mode=explicit", *(f"{capability}:{name}:1.0" for name in names)]


def publish_sources(context: Context) -> None:
    """Tie the computed state to its places, where the schema has them."""
    library = cache(lambda: _yang_library(context.schema))
    modules_state = cache(lambda: _modules_state(context.schema))
    schemas = cache(lambda: _schemas(context.schema))
    sources: dict[str, Callable[[], Mapping[str, Any]]] = {
        f"/{_MONITORING}:netconf-state": lambda: _netconf_state(context, schemas()),
        f"/{_LIBRARY}:yang-library": library,
        f"/{_LIBRARY}:modules-state": modules_state,
        "/ietf-restconf-monitoring:restconf-state": lambda: _restconf_state(context),
        "/nc-notifications:netconf": lambda: _event_streams(context),
        "/mec-nms-validation:validation": lambda: _validation(context),
    }
    for path, source in sources.items():
        module = path[1:].partition(":")[0]
        if module in context.schema.modules and context.schema.modules[module].implemented:
            context.guard.store.add_source(path, _decoded(context.schema, path, source))


def _decoded(schema: Schema, path: str, source: Callable[[], Mapping[str, Any]]) -> Callable[[], Value]:
    node = schema.find(path)
    last: tuple[Mapping[str, Any], Value] | None = None

    def value() -> Value:
        nonlocal last
        members = source()
        if last is None or last[0] is not members:  # the constant ones are decoded once
            last = (members, json.decode(node, members))
        return last[1]

    return value


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


# ---------------------------------------------------------------- ietf-netconf-monitoring


def _netconf_state(context: Context, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    counters = context.counters
    present = [session for session in list(context.sessions.values()) if is_netconf(session)]
    return {
        "capabilities": {"capability": list(context.capabilities)},
        "datastores": {"datastore": _datastores(context)},
        "schemas": {"schema": schemas},
        "sessions": {"session": [_session(context.schema, session) for session in present]},
        "statistics": {
            "netconf-start-time": _time(context.started),
            "in-bad-hellos": counters.in_bad_hellos,
            "in-sessions": counters.in_sessions + len(present),
            "dropped-sessions": counters.dropped_sessions,
            "in-rpcs": counters.in_rpcs + sum(session.in_rpcs for session in present),
            "in-bad-rpcs": counters.in_bad_rpcs + sum(session.in_bad_rpcs for session in present),
            "out-rpc-errors": counters.out_rpc_errors + sum(session.out_rpc_errors for session in present),
            "out-notifications": counters.out_notifications + sum(session.out_notifications for session in present),
        },
    }


def is_netconf(session: Session) -> bool:
    """RESTCONF's clients have no session that another one could see or kill."""
    return session.protocol.startswith("netconf-")


def count_end(counters: Counters, session: Session, reason: str) -> None:
    """Add a NETCONF session that ended to the totals."""
    counters.in_sessions += 1
    counters.dropped_sessions += reason not in ("closed", "killed")
    counters.in_bad_hellos += reason == "bad-hello"
    counters.in_rpcs += session.in_rpcs
    counters.in_bad_rpcs += session.in_bad_rpcs
    counters.out_rpc_errors += session.out_rpc_errors
    counters.out_notifications += session.out_notifications


def _session(schema: Schema, session: Session) -> dict[str, Any]:
    identity = f"{_MONITORING}:{session.protocol}"
    content = {
        "session-id": session.id,
        "transport": identity if identity in schema.identity_bases else f"{_MONITORING}:netconf-ssh",
        "username": session.principal.name,
        "login-time": _time(session.login_time),
        "in-rpcs": session.in_rpcs,
        "in-bad-rpcs": session.in_bad_rpcs,
        "out-rpc-errors": session.out_rpc_errors,
        "out-notifications": session.out_notifications,
    }
    return content | ({"source-host": session.source_host} if session.source_host else {})


def _datastores(context: Context) -> list[dict[str, Any]]:
    held = context.guard.held_locks()
    datastores: list[dict[str, Any]] = []
    for name in ("running", "candidate", "startup"):
        datastore: dict[str, Any] = {"name": name}
        if lock := held.get(name):
            locked = {"locked-by-session": lock.session_id, "locked-time": _time(lock.time)}
            datastore["locks"] = {"global-lock": locked}
        datastores.append(datastore)
    return datastores


def _schemas(schema: Schema) -> list[dict[str, Any]]:
    parents = {sub: module for module in schema.modules.values() for sub in module.submodules}
    listed: list[dict[str, Any]] = []
    for name, revision in sorted(schema.files):
        module = parents.get((name, revision)) or schema.modules[name]
        listed.append(
            {
                "identifier": name,
                "version": revision,
                "format": f"{_MONITORING}:yang",
                "namespace": module.namespace,
                "location": ["NETCONF"],
            }
        )
    return listed


def get_schema(context: Context, session: Session, request: GetSchema) -> Reply:
    """The text of a module or submodule (RFC 6022 section 3.1).

    Raises:
        RpcError: invalid-value; there is none.  operation-failed (app-tag data-not-unique); several versions fit.
    """
    found = [
        file
        for (name, revision), file in context.schema.files.items()
        if name == request.identifier and request.version in (None, "", revision)
    ]
    if request.format not in ("yang", f"{_MONITORING}:yang") or not found:
        wanted = f"{request.identifier}@{request.version or '*'} as {request.format}"
        raise RpcError("invalid-value", f"there is no schema {wanted}", app_tag="data-missing")
    if len(found) > 1:
        raise RpcError("operation-failed", f"{request.identifier} has several versions", app_tag="data-not-unique")
    return Reply(text=found[0].read_text(encoding="utf-8"))


# ---------------------------------------------------------------- ietf-yang-library


def _library_module(module: Module) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": module.name, "namespace": module.namespace}
    if module.revision:
        entry["revision"] = module.revision
    if module.submodules:
        entry["submodule"] = [{"name": n} | ({"revision": r} if r else {}) for n, r in module.submodules]
    return entry


def _location(name: str, revision: str) -> str:
    """Where RESTCONF has a module (RFC 8040 section 3.7)."""
    return f"/restconf/schema/{name}" + (f"/{revision}" if revision else "")


def _yang_library(schema: Schema) -> dict[str, Any]:
    implemented: list[dict[str, Any]] = []
    imported: list[dict[str, Any]] = []
    for module in schema.modules.values():
        entry = _library_module(module) | {"location": [_location(module.name, module.revision)]}
        for sub in entry.get("submodule", ()):
            sub["location"] = [_location(sub["name"], sub.get("revision", ""))]
        if not module.implemented:
            imported.append(entry | {"revision": module.revision})
            continue
        if module.features:
            entry["feature"] = list(module.features)
        if module.deviations:
            entry["deviation"] = list(module.deviations)
        implemented.append(entry)
    served = [name for name in _DATASTORES if f"ietf-datastores:{name}" in schema.identity_bases]
    return {
        "module-set": [{"name": "all", "module": implemented, "import-only-module": imported}],
        "schema": [{"name": "all", "module-set": ["all"]}],
        "datastore": [{"name": f"ietf-datastores:{name}", "schema": "all"} for name in served],
        "content-id": schema.content_id,
    }


def _modules_state(schema: Schema) -> dict[str, Any]:
    modules: list[dict[str, Any]] = []
    for module in schema.modules.values():
        entry = _library_module(module) | {"revision": module.revision}
        entry["schema"] = _location(module.name, module.revision)
        entry["conformance-type"] = "implement" if module.implemented else "import"
        for sub in entry.get("submodule", ()):
            sub["schema"] = _location(sub["name"], sub.setdefault("revision", ""))
        if module.features:
            entry["feature"] = list(module.features)
        if module.deviations:
            entry["deviation"] = [{"name": d, "revision": schema.modules[d].revision} for d in module.deviations]
        modules.append(entry)
    return {"module-set-id": schema.content_id, "module": modules}


# ---------------------------------------------------------------- ietf-restconf-monitoring


def _restconf_state(context: Context) -> dict[str, Any]:
    streams: list[dict[str, Any]] = []
    for stream in context.streams.streams.values():
        entry: dict[str, Any] = {
            "name": stream.name,
            "description": stream.description,
            "replay-support": True,
            "replay-log-creation-time": _time(stream.created),
            "access": [
                {"encoding": encoding, "location": f"/restconf/streams/{stream.name}/{encoding}"}
                for encoding in ("xml", "json")
            ],
        }
        if stream.aged is not None:
            entry["replay-log-aged-time"] = _time(stream.aged)
        streams.append(entry)
    return {"capabilities": {"capability": restconf_capabilities()}, "streams": {"stream": streams}}


# ---------------------------------------------------------------- nc-notifications, RFC 5277 section 3.2.5


def _event_streams(context: Context) -> dict[str, Any]:
    streams: list[dict[str, Any]] = []
    for stream in context.streams.streams.values():
        entry = {
            "name": stream.name,
            "description": stream.description,
            "replaySupport": True,
            "replayLogCreationTime": _time(stream.created),
        }
        streams.append(entry | ({"replayLogAgedTime": _time(stream.aged)} if stream.aged is not None else {}))
    return {"streams": {"stream": streams}}


# ---------------------------------------------------------------- mec-nms-validation


def _validation(context: Context) -> dict[str, Any]:
    counted = dict(context.guard.store.known.fallbacks)  # a copy, as a commit counts meanwhile
    return {"slow-constraint": [{"name": name, "fallbacks": str(counted[name])} for name in sorted(counted)]}
