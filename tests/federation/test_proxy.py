"""Mx2 from outside: a device application asks for an application context over RESTCONF, and sees its own only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from passlib.hash import sha256_crypt

from nms.mec.session import DataEdit, Members
from tests.federation.test_across_the_boundary import http, onboard, resolve
from tests.federation.test_mp1 import ask
from tests.federation.test_revision_across import running
from tests.federation.two_domains import Domain, federate, until

Play = Callable[..., None]
ORDERS = "/mec-order:orders"
MX2 = "data/mec-order:orders/device-application"


@dataclass(frozen=True)
class User:
    """A user of the datastore, as `nms.credentials` wants one."""

    name: str
    password_hash: str | None
    authorized_keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    recovery: bool = False


async def device(domain: Domain, name: str, **granted: object) -> dict[str, str]:
    """A device application with a user; what it needs to `ask`."""
    entry = {"user-name": f"{name}-user", **granted}
    await domain.session(ORDERS).edit([DataEdit(f"/device-application[id='{name}']", "create", entry)])
    await until("its rules are there", lambda: _rules(domain, name))
    assert domain.server is not None
    return {
        "MEC_MP1_URI": f"https://127.0.0.1:{domain.server.addresses[0][1]}/restconf",
        "MEC_MP1_USER": f"{name}-user",
        "MEC_MP1_PASSWORD": name,
    }


def _rules(domain: Domain, name: str) -> bool:
    lists = domain.publisher.entries("/ietf-netconf-acm:nacm/rule-list")
    return f"mec-device-{name}" in [each["name"] for each in lists]


def users(domain: Domain, *names: str) -> None:
    hashed = sha256_crypt.using(rounds=1000)
    domain.credentials.configure([User(f"{name}-user", hashed.hash(name)) for name in names])


async def context(device: dict[str, str], path: str) -> Members:
    status, found = await ask(device, "GET", f"{MX2}={path}")
    return dict(found["mec-order:context"][0]) if status == 200 else {}


async def reached(device: dict[str, str], path: str, *states: str) -> Members:
    async def there() -> Members | None:
        found = await context(device, path)
        return found if found.get("state", {}).get("state", "").rpartition(":")[2] in states else None

    return await until(f"{path} is {' or '.join(states)}", there)


def test_a_context_is_asked_for_used_and_ended(play: Play) -> None:
    async def story(a: Domain) -> None:
        users(a, "phone", "car")
        await onboard(a)
        phone, car = await device(a, "phone"), await device(a, "car")
        status, found = await ask(phone, "GET", f"{MX2}=phone/available-application")
        assert status == 200, found
        (offered,) = found["mec-order:available-application"]
        assert (offered["package"], offered["name"], offered["software-version"]) == ("hello", "hello-edge", "1.0")

        wish = {"mec-order:context": [{"id": "mine", "package": "hello"}]}
        status, said = await ask(phone, "PUT", f"{MX2}=phone/context=mine", wish)
        assert status == 201, said
        made = await reached(phone, "phone/context=mine", "completed")
        end = made["state"]["endpoint"][0]
        assert made["state"]["reference-uri"] == f"http://{end['dns-name']}:{end['port']}/"
        assert await resolve(a, end["dns-name"]) == [end["address"]]
        assert b"hello-edge" in await http(end["address"], end["port"])
        (order,) = a.publisher.entries(f"{ORDERS}/order")
        assert (order["customer"], order["id"]) == ("phone", made["state"]["order"])

        # The other one sees nothing of it, and cannot ask in its name; nor has either anything to do elsewhere.
        assert await context(car, "phone/context=mine") == {}
        status, found = await ask(car, "GET", "data/mec-order:orders")
        assert status == 200, found
        shown = found["mec-order:orders"]
        assert list(shown) == ["device-application"]
        assert [each["id"] for each in shown["device-application"]] == ["car"]
        for method, path, body in (
            ("DELETE", f"{MX2}=phone/context=mine", None),
            ("PUT", f"{MX2}=phone/context=theirs", {"mec-order:context": [{"id": "theirs", "package": "hello"}]}),
            ("PATCH", f"{MX2}=car", {"mec-order:device-application": [{"id": "car", "max-contexts": 9}]}),
            ("GET", "data/mec-system:system", None),
        ):
            status, said = await ask(car, method, path, body)
            assert status in (403, 404), (path, said)

        status, said = await ask(phone, "DELETE", f"{MX2}=phone/context=mine")
        assert status == 204, said
        await until("nothing runs", lambda: _nothing(a))
        assert a.publisher.entries(f"{ORDERS}/order") == ()

    play(story, names=("a",))


async def _nothing(domain: Domain) -> bool:
    return await running(domain) == 0


def test_no_more_than_is_granted(play: Play) -> None:
    async def story(a: Domain) -> None:
        users(a, "phone")
        await onboard(a)
        granted = {"package": ["hello"], "max-contexts": 1, "max-scale": 2, "acceptable-zone": ["zone-1"]}
        phone = await device(a, "phone", **granted)
        path = f"{MX2}=phone/context"
        for asked, tag in (
            ({"id": "c", "package": "other"}, "access-denied"),
            ({"id": "c", "package": "hello", "acceptable-zone": ["zone-2"]}, "access-denied"),
            ({"id": "c", "package": "hello", "requirement": {"scale": 3}}, "resource-denied"),
        ):
            status, said = await ask(phone, "PUT", f"{path}=c", {"mec-order:context": [asked]})
            assert status >= 400, said
            assert said["ietf-restconf:errors"]["error"][0]["error-tag"] == tag
        assert a.publisher.entries(f"{ORDERS}/order") == ()
        asked = {"id": "c", "package": "hello", "requirement": {"scale": 2}}
        status, said = await ask(phone, "PUT", f"{path}=c", {"mec-order:context": [asked]})
        assert status == 201, said
        await reached(phone, "phone/context=c", "completed")
        assert await running(a) == 2
        status, said = await ask(phone, "PUT", f"{path}=d", {"mec-order:context": [{"id": "d", "package": "hello"}]})
        assert said["ietf-restconf:errors"]["error"][0]["error-tag"] == "resource-denied"
        status, said = await ask(phone, "PUT", f"{path}=c", {"mec-order:context": [{"id": "c", "package": "hello"}]})
        assert said["ietf-restconf:errors"]["error"][0]["error-tag"] == "operation-not-supported"
        await a.session(ORDERS).edit([DataEdit("/device-application[id='phone']", "remove")])
        await until("nothing runs", lambda: _nothing(a))
        assert not _rules(a, "phone")

    play(story, names=("a",))


def test_a_device_cannot_tell_that_a_partner_hosts_it(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        users(a, "phone")
        await federate(a, b)
        await onboard(a)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        phone = await device(a, "phone", **{"acceptable-zone": ["b.zone-1"]})
        wish = {"mec-order:context": [{"id": "mine", "package": "hello"}]}
        status, said = await ask(phone, "PUT", f"{MX2}=phone/context=mine", wish)
        assert status == 201, said
        made = await reached(phone, "phone/context=mine", "completed", "failed")
        end = made["state"]["endpoint"][0]
        assert b"hello-edge" in await http(end["address"], end["port"])
        assert (await running(a), await running(b)) == (0, 1)
        assert "b.zone-1" not in str(made)
        status, _ = await ask(phone, "DELETE", f"{MX2}=phone/context=mine")
        assert status == 204
        await until("nothing runs", lambda: _nothing(b))

    play(story)


def test_a_context_that_cannot_be_met_says_why(play: Play) -> None:
    async def story(a: Domain) -> None:
        users(a, "phone")
        phone = await device(a, "phone")
        wish = {"mec-order:context": [{"id": "mine", "package": "nothing"}]}
        status, said = await ask(phone, "PUT", f"{MX2}=phone/context=mine", wish)
        assert status == 201, said
        made = await asyncio.wait_for(reached(phone, "phone/context=mine", "failed"), 20)
        assert "nothing" in made["state"]["error"]["detail"]

    play(story, names=("a",))
