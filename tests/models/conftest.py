"""The two oracles that judge our models: yangson (which the server loads them with) and libyang."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyang.context
import pyang.repository
import pytest
from yangson import DataModel
from yangson.enumerations import ContentType, ValidationScope
from yangson.exceptions import YangsonException

from nms.model.load import standard_path
from tools import check_yang
from tools.models import IDENTITIES, YANG, search_path, sources

Oracle = Callable[[dict[str, Any]], list[str]]


def yang_library(implemented: set[str]) -> str:
    """YANG library data (RFC 7895) of `implemented` and all that they import, read out of the files by pyang."""
    context = pyang.context.Context(pyang.repository.FileRepository(search_path(), use_env=False))
    listed: dict[str, dict[str, Any]] = {}
    queue = sorted(implemented)
    while queue:
        name = queue.pop()
        if name not in listed:
            module = context.read_module(name)
            queue += [imported.arg for imported in module.search("import")]
            listed[name] = {
                "name": name,
                "revision": max(revision.arg for revision in module.search("revision")),
                "namespace": module.search_one("namespace").arg,
                "conformance-type": "implement" if name in implemented else "import",
            }
    state = {"module-set-id": "ours", "module": list(listed.values())}
    return json.dumps({"ietf-yang-library:modules-state": state})


@pytest.fixture(scope="session")
def data_model() -> DataModel:
    folders = [str(folder) for folder in (YANG, *standard_path())]
    return DataModel(yang_library({*sources(), *IDENTITIES}), folders)


@pytest.fixture(scope="session")
def libyang() -> Callable[[str], list[str]]:
    return check_yang.validator(YANG, sources())


def _yangson(data_model: DataModel, data: dict[str, Any]) -> list[str]:
    try:
        data_model.from_raw(data).validate(ValidationScope.all, ContentType.all)
    except YangsonException as error:
        return [str(error)]
    return []


@pytest.fixture(params=["yangson", "libyang"])
def errors(request: pytest.FixtureRequest, data_model: DataModel, libyang: Callable[[str], list[str]]) -> Oracle:
    """`errors(data)`: what one of the oracles finds wrong with a tree of instance data; empty when it is valid."""
    if request.param == "yangson":
        return lambda data: _yangson(data_model, data)
    return lambda data: libyang(json.dumps(data))


@pytest.fixture
def federation() -> Callable[..., dict[str, Any]]:
    """`federation(**agreement)`: a tree with one partner and one agreement, made of the given members."""

    def tree(**members: Any) -> dict[str, Any]:
        agreement = {"id": "x", "role": "provider", "boundary-option": "mec-types:option-system"}
        agreement |= {name.replace("_", "-"): value for name, value in members.items()}
        partner = {"id": "b", "user-name": "b", "agreement": [agreement]}
        return {"mec-federation:federation": {"domain": {"id": "a"}, "partner": [partner]}}

    return tree
