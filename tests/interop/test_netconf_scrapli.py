"""scrapli-netconf: over OpenSSH's client in a pseudo-terminal, as it comes, and over paramiko; both framings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scrapli_netconf.driver import NetconfDriver

from tests.interop.conftest import GARDEN, PASSWORD, USER, Garden

#: scrapli drops its pseudo-terminal without closing it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(params=["system", "paramiko"])
def driver(request: pytest.FixtureRequest, garden: Garden, need: Callable[[str, str], str]) -> Iterator[NetconfDriver]:
    """A session over each transport, and in each framing."""
    over_ssh = request.param == "system"
    login = {"auth_private_key": str(garden.key)} if over_ssh else {"auth_password": PASSWORD}
    if over_ssh:
        need("ssh", "openssh-client")
    with NetconfDriver(
        host="127.0.0.1",
        port=garden.ssh,
        auth_username=USER,
        auth_strict_key=False,
        transport=request.param,
        preferred_netconf_version="1.1" if over_ssh else "1.0",
        **login,
    ) as session:
        yield session


def config(content: str) -> str:
    return f'<config><garden xmlns="{GARDEN}">{content}</garden></config>'


def test_session(driver: NetconfDriver) -> None:
    session: Any = driver
    assert "candidate" in session.writeable_datastores
    for reply in (
        session.lock("candidate"),
        session.edit_config(config("<owner>Änne</owner><bed><name>roses</name></bed>"), target="candidate"),
        session.validate("candidate"),
        session.commit(),
        session.unlock("candidate"),
    ):
        assert not reply.failed
    found = session.get_config("running", filter_=f'<garden xmlns="{GARDEN}"/>').xml_result
    assert found.findtext(".//{*}owner") == "Änne"
    # its xpath filter cannot declare prefixes: the rpc is written out
    xpath = f'<get><filter xmlns:g="{GARDEN}" type="xpath" select="/g:garden/g:bed/g:name"/></get>'
    assert [each.text for each in session.rpc(xpath).xml_result.iterfind(".//{*}name")] == ["roses"]
    refused = session.edit_config(config("<bed><name>roses</name><area>501</area></bed>"), target="running")
    assert refused.failed
    assert refused.xml_result.findtext(".//{*}error-tag") == "invalid-value"
    monitoring = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    schema = f'<get-schema xmlns="{monitoring}"><identifier>acme-garden</identifier></get-schema>'
    assert session.rpc(schema).xml_result.findtext("{*}data").startswith("module acme-garden {")
    # paramiko's send() takes what fits into one packet, and scrapli leaves it at that
    count = 3000 if session.transport_name == "system" else 300
    beds = "".join(f"<bed><name>é{number:04}</name></bed>" for number in range(count))
    assert not session.edit_config(config(beds), target="running").failed
    found = session.get_config("running").xml_result
    assert len(found.findall(".//{*}bed")) == count + 1
