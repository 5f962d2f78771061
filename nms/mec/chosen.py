"""The drivers that a configuration chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nms.config import Config, Driver
from nms.drivers import api


@dataclass(frozen=True, slots=True)
class Drivers:
    """Drivers, made but not opened."""

    vim: api.Vim
    dns: api.Dns
    data_plane: api.DataPlane


def load_drivers(config: Config, state: Path) -> Drivers:
    """The drivers that the configuration names, each with a folder below `state`.  Raises `ConfigError`."""
    chosen = config.drivers

    def made(factory: Callable[[Any, Path], Any], driver: Driver, name: str) -> Any:
        folder = state / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return factory(driver.options, folder)

    return Drivers(
        made(api.load("mec_nms.drivers.vim", chosen.vim.name), chosen.vim, "vim"),
        made(api.load("mec_nms.drivers.dns", chosen.dns.name), chosen.dns, "dns"),
        made(api.load("mec_nms.drivers.dataplane", chosen.dataplane.name), chosen.dataplane, "dataplane"),
    )
