"""What stands between a platform and its instance on a partner's infrastructure: names, and who may do what.

An instance shows its applications a copy of what the platform keeps for the partner, in the partner's words, and passes
on what they ask for.  That is carried out here as the application itself would do it over Mp1 (`nms.mec.mp1`): access
control binds it, and an instance that was taken over can speak for the partner's applications and for nobody else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nms.errors import RpcError, RpcErrors
from nms.mec.mp1 import SAID, Mp1
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import Core, DataEdit, LocalSession, Members
from nms.operations.request import Principal

_MODULE: Final = "mec-platform"
_RULES: Final = ("traffic-rule", "dns-rule")
#: Seconds until the access rules of an application that has just come are there.
_PATIENCE: Final = 5.0
#: mec-types:id.
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Relay:
    """For the instance of one agreement.

    Args:
        platform: the platform's own scope.
        agreement: path of the agreement's entry.
    """

    def __init__(self, core: Core, publisher: Publisher, mp1: Mp1, platform: Scope, agreement: Scope) -> None:
        self._core = core
        self._publisher = publisher
        self._mp1 = mp1
        self._platform = platform
        self._scope = Scope(agreement.agreement_path, agreement.partner, agreement.agreement)
        #: Before the identifiers of the partner's services, which are in one list with everybody's.
        self._prefix = f"{self._scope.inner('services')}."

    # -- what the instance shows

    def platform(self) -> Members:
        """The partner's applications, with its services and the platform's own, and the transports."""
        applications = self._publisher.entries(f"{self._scope.base}/{_MODULE}:platform/application")
        inner = {self._scope.inner("application", each["id"]): each["id"] for each in applications}
        return {
            "application": list(applications),
            "service": list(self._services(inner)),
            "transport": list(self._publisher.entries(f"{self._platform.base}/transport")),
        }

    def _services(self, inner: Mapping[str, str]) -> Iterator[Members]:
        for each in self._publisher.entries(f"{self._platform.base}/service"):
            if "application" not in each:
                yield each
            elif each["application"] in inner:
                name = each["id"].removeprefix(self._prefix)
                yield {**each, "id": name, "application": inner[each["application"]]}

    # -- what applications ask for

    async def carry_out(self, asked: Mapping[str, Any]) -> Members:
        """Do what an application wants (members `nms.mec.platform_channel.ASKED`).

        Returns number, status and body of the answer (RFC 8040).
        """
        application = str(asked["application"])
        inner = self._scope.inner("application", application)
        try:
            session = LocalSession(self._core, self._platform.base, await self._principal(inner))
            try:
                status = await self._do(session, inner, application, asked)
            finally:
                session.close()
        except (RpcError, RpcErrors) as error:
            status, body = self._said(error, inner, application)
            return {"number": asked["number"], "status": status, "body": body}
        return {"number": asked["number"], "status": status, "body": None}

    async def _principal(self, inner: str) -> Principal:
        entry = self._publisher.read(f"{self._platform.base}/application[id='{inner}']") or {}
        user = str(entry.get("identity", {}).get("user-name", ""))
        until = asyncio.get_running_loop().time() + _PATIENCE
        while (principal := self._mp1.principal(user)) is None:
            if asyncio.get_running_loop().time() > until:
                raise RpcError("access-denied", "the platform does not serve the application")
            await asyncio.sleep(0.05)
        return principal

    async def _do(self, session: LocalSession, inner: str, application: str, asked: Mapping[str, Any]) -> int:
        """Carry it out; gives the status."""
        match asked["method"], asked["resource"]:
            case "PUT", [["service", name]] if _named(name):
                return await self._register(session, inner, application, name, asked["body"])
            case "DELETE", [["service", name]] if _named(name):
                if await session.get(f"/service[id='{self._prefix}{name}']", "config") is None:
                    raise RpcError("invalid-value", f"there is no service {name}", status=404)
                await session.edit([DataEdit(f"/service[id='{self._prefix}{name}']", "remove")])
            case "PUT", [["application", own], [kind, rule], ["desired-state", ""]] if kind in _RULES and _named(rule):
                _only(own, application)
                wanted = _member(asked["body"], "desired-state")
                where = f"/application[id='{inner}']/{kind}[id='{rule}']"
                if await session.get(where, "config") is None:
                    raise RpcError("invalid-value", f"there is no {kind} {rule}", status=404)
                await session.edit([DataEdit(f"{where}/desired-state", "replace", wanted)])
            case "POST", [["application", own], [action, ""]] if action in SAID:
                _only(own, application)
                await session.invoke(f"/application[id='{inner}']", action, {})
            case _:
                raise RpcError("access-denied", "an application registers services, activates its rules, and confirms")
        return 204

    async def _register(self, session: LocalSession, inner: str, application: str, name: str, body: Any) -> int:
        listed = _member(body, "service")
        if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], dict):
            raise RpcError("invalid-value", "the body is one entry of the list service")
        service: Members = listed[0]
        if service.get("id", name) != name:
            raise RpcError("invalid-value", f"the body is about service {service['id']}")
        _only(str(service.get("application")), application)
        path = f"/service[id='{self._prefix}{name}']"
        known = await session.get(path, "config") is not None
        wish = {leaf: value for leaf, value in service.items() if leaf != "id"} | {"application": inner}
        await session.edit([DataEdit(path, "replace", wish)])
        return 204 if known else 201

    def _said(self, error: RpcError | RpcErrors, inner: str, application: str) -> tuple[int, Members]:
        """An error in the partner's words."""
        errors = error.errors if isinstance(error, RpcErrors) else [error]
        told = [
            {
                "error-type": each.type,
                "error-tag": each.tag,
                "error-message": each.message.replace(inner, application).replace(self._prefix, ""),
            }
            for each in errors
        ]
        return errors[0].status, {"ietf-restconf:errors": {"error": told}}


def _named(key: Any) -> bool:
    """Whether that is an identifier, which can stand in a path as it is.  Raises `RpcError`: invalid-value."""
    if not isinstance(key, str) or not _ID.fullmatch(key):
        raise RpcError("invalid-value", "that is no identifier")
    return True


def _member(body: Any, name: str) -> Any:
    """The one member of a body.  Raises `RpcError`: malformed-message."""
    if not isinstance(body, dict) or f"{_MODULE}:{name}" not in body:
        raise RpcError("malformed-message", f"the body is an object with {_MODULE}:{name}")
    return body[f"{_MODULE}:{name}"]


def _only(named: str, application: str) -> None:
    if named != application:
        raise RpcError("access-denied", "an application speaks for itself only")
