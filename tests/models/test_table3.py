"""Table 3 of the paper, row by row: which abstraction model stands under an agreement, by boundary option and role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MODELS: dict[str, dict[str, Any]] = {
    "mec-resource:resources": {"slice": [{"id": "s"}]},
    "mec-platform:platform": {"transport": [{"id": "t"}]},
    "mec-platform-manager:platform-manager": {"package": [{"id": "p"}]},
    "mec-system:system": {"package": [{"id": "p"}]},
}

#: (boundary option, our role) -> what the partner is shown.
TABLE_3 = {
    ("option-infrastructure", "provider"): {"resources"},
    ("option-infrastructure", "consumer"): set(),
    ("option-platform-consumer-infrastructure", "provider"): {"platform"},
    ("option-platform-consumer-infrastructure", "consumer"): {"resources"},
    ("option-platform-provider-infrastructure", "provider"): {"platform", "resources"},
    ("option-platform-provider-infrastructure", "consumer"): set(),
    ("option-service", "provider"): {"platform-manager", "platform", "resources"},
    ("option-service", "consumer"): set(),
    ("option-system", "provider"): {"system"},
    ("option-system", "consumer"): {"system"},
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("option", "role"), TABLE_3)
def test_row(
    option: str, role: str, model: str, errors: Callable[[Any], list[str]], federation: Callable[..., Any]
) -> None:
    shown = model.partition(":")[2] in TABLE_3[option, role]
    data = federation(role=role, boundary_option=f"mec-types:{option}", **{model: MODELS[model]})
    found = errors(data)
    if shown:
        assert found == []
    else:
        assert len(found) == 1
        assert model in found[0]


@pytest.mark.parametrize(("option", "role"), TABLE_3)
def test_all_models_of_a_row_together(
    option: str, role: str, errors: Callable[[Any], list[str]], federation: Callable[..., Any]
) -> None:
    shown = {model: data for model, data in MODELS.items() if model.partition(":")[2] in TABLE_3[option, role]}
    assert errors(federation(role=role, boundary_option=f"mec-types:{option}", **shown)) == []


@pytest.mark.parametrize(("option", "role"), TABLE_3)
def test_business_terms_stand_under_every_option(
    option: str, role: str, errors: Callable[[Any], list[str]], federation: Callable[..., Any]
) -> None:
    terms = {"mec-sla:sla": [{"id": "gold"}], "mec-pricing:charging": {"tariff": [{"id": "t", "currency": "EUR"}]}}
    assert errors(federation(role=role, boundary_option=f"mec-types:{option}", **terms)) == []
