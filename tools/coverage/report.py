"""What of the models no test touches: ``python -m tools.coverage.report FILE [--json] [--all]``.

Compares a record with the compiled schema: nodes that never had a value, operations never invoked, notifications never
sent, and constraints that were not seen both true and false.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from nms.model.constraint_plan import Plan, plans
from nms.model.load import load
from nms.model.schema import Node, Schema
from tools.coverage.record import Record, names_of
from tools.models import YANG, sources

_OPERATIONS = {"rpc": "rpcs", "action": "actions", "notification": "notifications"}
_PARTS = ("input", "output")


def untouched(schema: Schema, record: Record, modules: set[str]) -> list[dict[str, Any]]:
    """A row for each thing that a test might touch: module, what, path, `missing` ("" if nothing is)."""
    rows = []
    for node in _nodes(schema):
        if node.module not in modules or node.kind in _PARTS:
            continue
        what = _OPERATIONS.get(node.kind) or _kind(node)
        rows.append(_row(node, what, "" if node.path in record.nodes else "never"))
        is_key = node.parent is not None and node in node.parent.keys
        if node.mandatory and node.kind in ("leaf", "anydata", "anyxml") and not is_key:
            found = record.verdicts.get(("mandatory", node.path, ""), set()) | ({True} & {node.path in record.nodes})
            rows.append(_row(node, "mandatory", _lacks(found)))
    for kind, node, text in _constraints(schema):
        if node.module in modules:
            found = record.verdicts.get((kind, node.path, text), set())
            rows.append(_row(node, kind, _lacks(found)) | {"text": text})
    return rows


def _kind(node: Node) -> str:
    if any(above.kind in (*_PARTS, "notification") for above in node.ancestors()):
        return "parameters"
    return "nodes" if node.config else "state"


def _row(node: Node, what: str, missing: str) -> dict[str, Any]:
    return {"module": node.module, "what": what, "path": node.path, "text": "", "missing": missing}


def _lacks(found: set[bool]) -> str:
    return {(): "never evaluated", (True,): "never false", (False,): "never true"}.get(tuple(sorted(found)), "")


def _nodes(schema: Schema) -> Iterator[Node]:
    queue = [*schema.root.children, *schema.rpcs.values(), *schema.notifications.values()]
    while queue:
        node = queue.pop()
        yield node
        queue += [*node.children, *node.actions, *node.notifications]


def _constraints(schema: Schema) -> Iterator[tuple[str, Node, str]]:
    known = plans(schema)
    seen: set[int] = set()
    queue: list[Plan] = [known.all]
    for node in _nodes(schema):
        if node.kind in (*_PARTS, "notification"):
            queue.append(known.operation(node))
        if node.whens:
            yield "when", node, ""
        if node.min_elements:
            yield "min-elements", node, str(node.min_elements)
        if node.max_elements is not None:
            yield "max-elements", node, str(node.max_elements)
    while queue:
        plan = queue.pop()
        if id(plan) in seen:
            continue
        seen.add(id(plan))
        yield from (("must", plan.node, str(rule.must.expression)) for rule in plan.musts)
        yield from (("unique", plan.node, names_of(rule)) for rule in plan.uniques)
        yield from (("choice", plan.node, rule.choice.name) for rule in plan.choices)
        if plan.refers is not None:
            yield "leafref", plan.node, ""
        queue += plan.children


def main(arguments: list[str] | None = None) -> int:
    """Show the table; `--all` names what is not touched, `--json` has every row."""
    parser = argparse.ArgumentParser(prog="tools.coverage.report", description=__doc__)
    parser.add_argument("file", type=Path, help="what `--yang-coverage FILE` has written")
    parser.add_argument("--json", action="store_true", help="every row, as JSON")
    parser.add_argument("--all", action="store_true", help="name what is not touched")
    given = parser.parse_args(arguments)
    record = Record()
    try:
        record.add(orjson.loads(given.file.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{given.file}: not a record of coverage: {error}", file=sys.stderr)
        return 2
    names = list(sources())
    rows = untouched(load([YANG], [f"{name}:*" for name in names]), record, set(names))
    if given.json:
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return 0
    _table(rows)
    for row in rows if given.all else ():
        if row["missing"]:
            print(f"{row['what']:13} {row['missing']:15} {row['path']} {row['text']}".rstrip())
    return 0


def _table(rows: list[dict[str, Any]]) -> None:
    kinds = list(dict.fromkeys(row["what"] for row in rows))
    total = Counter((row["module"], row["what"]) for row in rows)
    done = Counter((row["module"], row["what"]) for row in rows if not row["missing"])
    modules = sorted({row["module"] for row in rows})
    print(" ".join([f"{'':22}", *(f"{kind:>13}" for kind in kinds)]))
    for module in modules:
        cells = (f"{done[module, kind]}/{total[module, kind]}" if total[module, kind] else "" for kind in kinds)
        print(" ".join([f"{module:22}", *(f"{cell:>13}" for cell in cells)]).rstrip())


if __name__ == "__main__":
    sys.exit(main())
