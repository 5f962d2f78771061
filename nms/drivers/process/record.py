"""What is remembered of an instance over restarts of the daemon: one JSON file each, replaced atomically.

The folder of a driver belongs to one daemon at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from nms.drivers.api import ConfigError, Instance, InstanceSpec, InstanceState, Resources


@dataclass(frozen=True, slots=True)
class Record:
    """An instance: what was asked, where it was put and how it stands; `pid` and `born` name its process, if any."""

    spec: InstanceSpec
    host: str
    zone: str
    address: str
    state: InstanceState = "allocated"
    reason: str = ""
    pid: int = 0
    born: str = ""

    def instance(self) -> Instance:
        """What the outside sees."""
        spec = self.spec
        return Instance(spec.id, self.state, self.host, self.zone, self.address, spec.port, spec.resources, self.reason)


def hold(driver: str, state: Path) -> IO[bytes]:
    """Keep other daemons out of the driver's folder until what is returned is closed.

    Raises:
        ConfigError: another one is in it.
    """
    lock = (state / "lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(f"driver {driver}: {state} is in use by another daemon") from error
    return lock


def save(folder: Path, record: Record) -> None:
    """Write durably."""
    content = asdict(record)
    content["spec"]["image"] = str(record.spec.image)
    content["spec"]["environment"] = dict(record.spec.environment)
    partial = folder / "instance.json.part"
    # The environment may hold secrets of the application.
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / "instance.json")


def load(folder: Path) -> Record | None:
    """Read back; None when there is none.  Raises `ConfigError` when it is not ours or damaged."""
    path = folder / "instance.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        spec = content.pop("spec")
        spec |= {
            "image": Path(spec["image"]),
            "command": tuple(spec["command"]),
            "resources": Resources(**spec["resources"]),
        }
        return replace(Record(InstanceSpec(**spec), "", "", ""), **content)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged ({error}); remove the folder {folder} to forget the instance") from error
