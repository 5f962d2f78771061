"""What a payload costs a client, by several ways: ``python -m tests.bench.bindings_cost``.

Each way in a process of its own: CPU time and memory of the imports, then CPU time of one order built, checked where
the way checks, and written as JSON (as XML by hand for the last one).  A machine has its own figures.
"""

from __future__ import annotations

import subprocess
import sys

#: name -> (imports and what is made once, one object).
WAYS = {
    "bindings, unchecked": (
        "import bindings\nbindings.build('mec-order')",
        """
m = bindings.build("mec-order")
o = m.orders.order.add("order-1")
o.customer = "acme"
o.item.add("app").package = "hello-edge"
bindings.to_json(m)
""",
    ),
    "bindings, checked": (
        "import bindings, bindings.checking\nbindings.checking.schema()",
        """
m = bindings.build("mec-order")
o = m.orders.order.add("order-1")
o.customer = "acme"
o.item.add("app").package = "hello-edge"
bindings.body(m)
""",
    ),
    "dicts, our schema": (
        """
from bindings.checking import schema
from nms.model import json as codec
from nms.model.constraints import validate
import orjson
s = schema()
""",
        """
d = {"mec-order:orders": {"order": [
    {"id": "order-1", "customer": "acme", "item": [{"id": "app", "package": "hello-edge"}]}]}}
assert not validate(s, codec.decode(s.root, d))
orjson.dumps(d)
""",
    ),
    "dataclasses by hand, types only": (
        """
import json
from dataclasses import dataclass, asdict, field
@dataclass(slots=True)
class Item:
    id: str
    package: str
    def __post_init__(self):
        assert isinstance(self.id, str) and isinstance(self.package, str)
@dataclass(slots=True)
class Order:
    id: str
    customer: str
    item: list[Item] = field(default_factory=list)
    def __post_init__(self):
        assert isinstance(self.id, str) and isinstance(self.customer, str)
""",
        """
json.dumps({"mec-order:orders": {"order": [asdict(Order("order-1", "acme", [Item("app", "hello-edge")]))]}})
""",
    ),
    "ncclient, XML by hand": (
        "from ncclient import manager\nfrom lxml import etree",
        """
n = "{urn:mec-nms:yang:mec-order}"
top = etree.Element(n + "orders")
o = etree.SubElement(top, n + "order")
etree.SubElement(o, n + "id").text = "order-1"
etree.SubElement(o, n + "customer").text = "acme"
i = etree.SubElement(o, n + "item")
etree.SubElement(i, n + "id").text = "app"
etree.SubElement(i, n + "package").text = "hello-edge"
etree.tostring(top)
""",
    ),
}

MEASURE = """
import resource, time
began = time.process_time()
{setup}
loaded = time.process_time() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def one():
{body}
one()
best = None
for _ in range(5):
    began = time.process_time()
    for _ in range(20):
        one()
    spent = (time.process_time() - began) / 20
    best = spent if best is None else min(best, spent)
print(f"{{loaded * 1000:.0f}} {{memory:.0f}} {{best * 1e6:.0f}}")
"""


def main() -> None:
    """Print a row for each way."""
    print("| way | once, CPU ms | memory, MB | one order, CPU µs |\n| --- | --- | --- | --- |")
    for name, (setup, body) in WAYS.items():
        indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
        program = MEASURE.format(setup=setup, body=indented)
        told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
        print(f"| {name} | {' | '.join(told.split())} |")


if __name__ == "__main__":
    main()
