"""``name = "auto"``: the isolating driver where this machine has what it takes, else the embedded one, and it says so.

Knows drivers by their entry points only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from nms.drivers import api
from nms.drivers.api import DataPlane, Vim, setting

BEST, ELSE = "netns", "embedded"
_log = logging.getLogger(__name__)


def vim(config: Mapping[str, object], state: Path) -> Vim:
    """The VIM.  Keys of a table named after a driver are for that one only, the others for both."""
    return _choose("mec_nms.drivers.vim", config, state)  # type: ignore[no-any-return]


def dataplane(config: Mapping[str, object], state: Path) -> DataPlane:
    """The data plane, as `vim`."""
    return _choose("mec_nms.drivers.dataplane", config, state)  # type: ignore[no-any-return]


def _choose(
    group: Literal["mec_nms.drivers.vim", "mec_nms.drivers.dataplane"], config: Mapping[str, object], state: Path
) -> Any:
    lacking = api.load("mec_nms.drivers.available", BEST)()
    name = ELSE if lacking else BEST
    if lacking:
        _log.warning("%s: the driver %s is used and isolates nothing, since for %s %s", group, ELSE, BEST, lacking)
    else:
        _log.info("%s: the driver %s is used", group, BEST)
    common = {key: value for key, value in config.items() if key not in (BEST, ELSE)}
    own = setting(f"{group} auto", config, name, dict, {})
    folder = state / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return api.load(group, name)({**common, **own}, folder)
