"""The run: models, their data and edits, both verdicts on each, and each disagreement reduced to its least data."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from lxml import etree

from nms.errors import ConfigError, RpcError
from nms.model import constraints, library, load, xml
from nms.model import json as json_codec
from nms.model.diff import diff
from nms.model.schema import Schema
from nms.model.values import Value
from tests.fuzz import instances, known, model, printing
from tests.fuzz.instances import Data
from tests.fuzz.oracle import Crash, Oracle

CASES_PER_MODEL = 24


@dataclass(slots=True)
class Tally:
    """What a run came to."""

    cases: int = 0
    valid: int = 0
    edits: int = 0
    models: int = 0
    refused: int = 0
    crashes: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[Path] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.cases} cases ({self.valid} valid, {self.edits} of them edits) of {self.models} models "
            f"({self.refused} refused by both), {sum(self.explained.values())} differences explained, "
            f"{len(self.unexplained)} not, {self.crashes} crashes of libyang"
        )


@dataclass(slots=True)
class Case:
    """One model as both sides have loaded it."""

    name: str
    schema: Schema
    written: printing.Written
    state: bool
    drawer: instances.Drawer

    def modules(self) -> str:
        return "\n".join(self.written.files.values())


class Run:
    """One run; `found` is the folder for what is found, None to keep nothing."""

    def __init__(self, seed: int, found: Path | None, say: Callable[[str], None] = lambda text: None) -> None:
        self.seed = seed
        self.found = found
        self.say = say
        self.tally = Tally()
        self.oracle = Oracle()

    def until(self, cases: int, seconds: float, start: int = 0) -> Tally:
        """Run until either bound is reached."""
        deadline = time.monotonic() + seconds
        number = start
        shown = time.monotonic()
        try:
            while self.tally.cases < cases and time.monotonic() < deadline:
                self.model(number)
                number += 1
                if time.monotonic() - shown > 2:
                    shown = time.monotonic()
                    self.say(f"model {number}: {self.tally.line()}")
        finally:
            self.oracle.close()
        return self.tally

    def model(self, number: int) -> None:
        """All cases of one model; which they are follows from the seed and the number alone."""
        rng = Random(f"{self.seed}/{number}")
        drawn = model.build(rng)
        written = printing.write(rng, drawn)
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        try:
            case = self._load(f"{self.seed}-{number}", folder, instances.Drawer(rng, drawn, written), written)
            if case is not None:
                self._cases(rng, case)
        except Crash:
            self.tally.crashes += 1
            self._note(f"{self.seed}-{number}-crash", written, {}, "libyang ended its process")
        finally:
            shutil.rmtree(folder)
            library._parse.cache_clear()
            constraints.plans.cache_clear()

    def _load(self, name: str, folder: Path, drawer: instances.Drawer, written: printing.Written) -> Case | None:
        self.tally.models += 1
        for file, text in written.files.items():
            (folder / f"{file}.yang").write_text(text, encoding="utf-8")
        theirs = self.oracle.load(folder, [("ft", written.features), ("fa", []), ("fb", []), ("fd", [])])
        mine = ""
        schema = None
        features = f"ft:{','.join(written.features)}" if written.features else "ft"
        try:
            schema = load.load([folder], [features, "fa", "fb", "fd"])
            constraints.plans(schema)
        except ConfigError as error:
            mine = str(error)
        except Exception as error:  # noqa: BLE001 - whatever else comes out is a finding
            self._differ(name, written, {}, [], [], f"ours ended with {error!r} from {_place(error)}")
            return None
        if mine or theirs:
            if mine and theirs:
                self.tally.refused += 1
            else:
                self._differ(name, written, {}, [], [theirs] if theirs else [], mine or f"libyang: {theirs}")
            return None
        assert schema is not None
        return Case(name, schema, written, drawer.model.state, drawer)

    def _cases(self, rng: Random, case: Case) -> None:
        drawer = case.drawer
        data = drawer.data()
        valid: tuple[Data, Value] | None = None
        for turn in range(CASES_PER_MODEL):
            as_xml = rng.random() < 0.5
            errors, root = self._judge(f"{case.name}-{turn}", case, data, as_xml)
            if root is not None and valid is not None:
                self._edit(f"{case.name}-{turn}", case, valid, data, root, errors)
            if not errors and root is not None:
                valid = (data, root)
            # Until something is valid, mend; from then on, damage it, and go on from what stayed valid.
            base = data if valid is None else valid[0]
            data = drawer.current = json.loads(json.dumps(base))
            mended = False
            if valid is None:
                for error in errors:
                    mended = drawer.mend(data, error.path, error.app_tag) or mended
                if not mended:
                    data = drawer.current = drawer.data()
            else:
                for _ in range(rng.choice([1, 1, 2, 3])):
                    drawer.damage(data)
            data = drawer.current = drawer.tidy(data)

    def _judge(self, name: str, case: Case, data: Data, as_xml: bool) -> tuple[list[RpcError], Value | None]:
        self.tally.cases += 1
        errors, root = ours(case, data, as_xml)
        self.tally.valid += not errors
        try:
            theirs = self._theirs(case, data, as_xml)
        except Crash:
            self.tally.crashes += 1
            self._note(f"{name}-crash", case.written, data, "libyang ended its process")
            return errors, root
        if bool(errors) != bool(theirs) or any(e.app_tag == "stumble" for e in errors):

            def differs(less: Data) -> bool:
                mine = ours(case, less, as_xml)[0]
                if any(e.app_tag == "stumble" for e in errors):
                    return any(e.app_tag == "stumble" for e in mine)
                try:
                    return bool(mine) != bool(self._theirs(case, less, as_xml))
                except Crash:
                    return False

            least = _reduced(data, differs, case.drawer.tidy)
            mine = ours(case, least, as_xml)[0]
            messages = [f"{e['path']} {e['message']}" for e in self._theirs(case, least, as_xml)]
            self._differ(name, case.written, least, mine, messages, "XML" if as_xml else "JSON", case.drawer)
        return errors, root

    def _theirs(self, case: Case, data: Data, as_xml: bool) -> list[dict[str, str]]:
        data = case.drawer.for_libyang(data)
        text = instances.to_xml(data) if as_xml else json.dumps(data)
        return self.oracle.verdict(text, xml=as_xml, state=case.state)

    def _edit(
        self, name: str, case: Case, old: tuple[Data, Value], data: Data, root: Value, full: list[RpcError]
    ) -> None:
        """The verdict on a change must be that on the whole."""
        if case.state:
            return
        schema = case.schema
        self.tally.edits += 1
        try:
            partial = constraints.validate_change(schema, old[1], root, diff(schema.root, old[1], root))
        except Exception as error:  # noqa: BLE001 - whatever else comes out is a finding
            partial = [_stumble(error)]
        if sorted(map(str, partial)) != sorted(map(str, full)):
            said = [*(f"change: {e}" for e in partial), *(f"whole: {e}" for e in full)]
            self._keep(f"{name}-edit", case.written, {"old": old[0], "new": data}, "\n".join(said))

    def _differ(
        self,
        name: str,
        written: printing.Written,
        data: Data,
        mine: list[RpcError],
        theirs: list[str],
        how: str,
        drawer: instances.Drawer | None = None,
    ) -> None:
        modules = "\n".join(written.files.values())
        reason = drawer and known.explanation(known.Difference(mine, theirs, modules, drawer, data))
        if reason:
            self.tally.explained[reason] += 1
            return
        said = "\n".join([how, *(f"ours: {e} ({e.app_tag})" for e in mine), *(f"libyang: {t}" for t in theirs)])
        self._keep(name, written, data, said)

    def _keep(self, name: str, written: printing.Written, data: Any, said: str) -> None:
        """An unexplained difference: note it."""
        self.tally.unexplained.append((self.found or Path("found")) / name)
        self._note(name, written, data, said)

    def _note(self, name: str, written: printing.Written, data: Any, said: str) -> None:
        """Write what was found: the modules, the data and what was said of them."""
        self.say(f"{name}: {said}")
        if self.found is None:
            return
        folder = self.found / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in written.files.items():
            (folder / f"{file}.yang").write_text(text, encoding="utf-8")
        (folder / "data.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
        if "old" not in data:
            (folder / "data.xml").write_text(instances.to_xml(data), encoding="utf-8")
        (folder / "said.txt").write_text(f"features: {written.features}\n{said}\n", encoding="utf-8")


def ours(case: Case, data: Data, as_xml: bool) -> tuple[list[RpcError], Value | None]:
    """Our errors, and the tree where the data could be decoded."""
    schema = case.schema
    try:
        if as_xml:
            element = etree.fromstring(f"<data>{instances.to_xml(data)}</data>")
            root = xml.decode(schema.root, element)
        else:
            root = json_codec.decode(schema.root, data)
    except RpcError as error:
        return [error], None
    except Exception as error:  # noqa: BLE001 - whatever else comes out is a finding
        return [_stumble(error)], None
    try:
        return constraints.validate(schema, root, config=not case.state), root
    except Exception as error:  # noqa: BLE001 - likewise
        return [_stumble(error)], None


def _stumble(error: Exception) -> RpcError:
    return RpcError("operation-failed", f"ended with {error!r} from {_place(error)}", app_tag="stumble")


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _reduced(data: Data, differs: Callable[[Data], bool], tidy: Callable[[Data], Data]) -> Data:
    """The least part of `data` on which the verdicts still differ, one removal after the other."""
    progress = True
    while progress:
        progress = False
        for less in instances.removals(data):
            less = tidy(less)
            if less != data and differs(less):
                data, progress = less, True
                break
    return data
