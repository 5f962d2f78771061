"""A short run of the comparison with libyang; `make fuzz` is the long one."""

from __future__ import annotations

from random import Random

import pytest

from nms.errors import RpcError
from tests.fuzz import instances, model, printing
from tests.fuzz.run import Run


@pytest.mark.parametrize("seed", range(20261123, 20261128))
def test_our_verdicts_are_libyangs_or_explained(seed: int) -> None:
    said: list[str] = []
    tally = Run(seed, None, say=said.append).until(cases=600, seconds=float("inf"))
    assert not tally.unexplained, "\n".join(said)
    assert tally.valid > 50
    assert tally.cases - tally.valid > 50


def test_a_run_is_determined_by_its_seed() -> None:
    def drawn(seed: int) -> tuple[dict[str, str], instances.Data]:
        rng = Random(seed)
        tree = model.build(rng)
        written = printing.write(rng, tree)
        return written.files, instances.Drawer(rng, tree, written).data()

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_a_difference_is_found_reduced_and_kept(monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """An engine that never finds a missing mandatory leaf is caught."""
    from nms.model import constraints

    honest = constraints.validate

    def blind(schema, root, *, config=True) -> list[RpcError]:  # type: ignore[no-untyped-def]
        return [e for e in honest(schema, root, config=config) if e.tag != "data-missing"]

    monkeypatch.setattr(constraints, "validate", blind)
    tally = Run(5, tmp_path).until(cases=400, seconds=float("inf"))
    assert tally.unexplained
    kept = tally.unexplained[0]
    assert {"fa.yang", "data.json", "data.xml", "said.txt"} <= {file.name for file in kept.iterdir()}
