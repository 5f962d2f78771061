"""Applications that are OCI images, from the package to their use by a client, here and at a partner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nms.errors import RpcError
from nms.federation.options import OPTIONS
from nms.mec import package
from tests.drivers import oci_images
from tests.drivers.netns_site import Site as Isolated
from tests.federation import site, two_domains
from tests.federation.test_across_the_boundary import http, resolve
from tests.federation.two_domains import Domain, federate, until


def described(folder: Path) -> Path:
    """A folder of which a package is built: the sample application in an OCI image that knows what it runs."""
    app = (site.SAMPLE / "image/hello-edge/app.py").read_text()
    (folder / "image").mkdir(parents=True)
    oci_images.build(
        folder / "image/hello.oci.tar",
        oci_images.python(),
        oci_images.files({"srv/app.py": app}),
        Entrypoint=["python3", "app.py"],
        WorkingDir="/srv",
        Env=["GREETING=Hello from a container"],
    )
    document = json.loads((site.SAMPLE / package.DESCRIPTOR).read_text())
    descriptor = document[package.TOP]
    descriptor["virtual-storage"][0]["size"] = str(oci_images.STORAGE)
    descriptor["sw-image"] = {"name": "image/hello.oci.tar", "version": "1.0", "format": "mec-types:oci"}
    (folder / package.DESCRIPTOR).write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("number", [1, 5])
def test_it_is_ordered_at_one_domain_and_runs_at_the_other(
    isolated: Isolated, tmp_path: Path, need: Callable[[str, str], str], number: int
) -> None:
    need("runc", "runc")
    file = tmp_path / "hello.csar"
    info = package.build(described(tmp_path / "source"), file)

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}"})
        # A cannot run it, but has a partner that may.
        assert a.blocks.mm1 is not None
        wish = {"digest": info.digest, "source": file.as_uri(), "size": str(info.size)}
        await a.blocks.mm1.onboard("hello", wish)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        # Nobody says where: A's own zone would be preferred, if that could run it.
        state = await asyncio.wait_for(a.blocks.mm1.instantiate("web", {"package": "hello"}), 40)
        assert state["instance"][0]["zone"] == "b.zone-1"
        endpoint = state["instance"][0]["endpoint"][0]
        assert endpoint["address"].startswith(isolated.prefix.rpartition(".")[0])
        served_by = a if number == 1 else b
        assert await resolve(served_by, endpoint["dns-name"]) == [endpoint["address"]]
        assert b'"application": "hello-edge"' in await http(endpoint["address"], endpoint["port"])
        assert (Path("/run/mec-nms/runc") / f"mec-{endpoint['address']}").is_dir()
        # Two more, of the image that is unpacked.
        await asyncio.wait_for(a.blocks.mm1.scale("web", 2), 40)
        shown = await a.blocks.mm1.deployment("web")
        assert shown is not None
        addresses = {each["endpoint"][0]["address"] for each in shown["state"]["instance"]}
        assert len(addresses) == 2
        for address in addresses:
            assert b'"application": "hello-edge"' in await http(address, endpoint["port"])

        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        assert b.blocks.drivers is not None
        assert await b.blocks.drivers.vim.list() == []
        assert isolated.namespaces() == [isolated.fabric]
        await asyncio.wait_for(a.blocks.mm1.offboard("hello"), 20)
        assert "image" not in b.publisher.read("/mec-resource:infrastructure/vim[id='vim-1']")

    async def whole() -> None:
        where = {"b": isolated.addresses}
        async with two_domains.domains(tmp_path, two_domains.schema(), isolated=where) as playing:
            await story(*playing)

    asyncio.run(whole())


def test_where_it_cannot_run_it_is_refused_and_the_infrastructure_says_why(tmp_path: Path) -> None:
    file = tmp_path / "hello.csar"
    info = package.build(described(tmp_path / "source"), file)

    async def story() -> None:
        async with site.Site(tmp_path).running() as domain:
            assert domain.domain.mm1 is not None
            with pytest.raises(RpcError) as refused:
                await domain.domain.mm1.onboard("hello", {"digest": info.digest, "source": file.as_uri()})
            assert refused.value.tag == "operation-not-supported"
            assert refused.value.message.endswith(
                "an image of format oci cannot be run here: "
                "the embedded driver isolates nothing; the driver netns runs it"
            )
            formats = domain.read("/mec-resource:infrastructure/vim[id='vim-1']/state")["image-format"]
            assert {each["format"]: each["runs"] for each in formats} == {
                "mec-types:process-archive": True,
                "mec-types:oci": False,
            }

    asyncio.run(story())
