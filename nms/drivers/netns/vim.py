"""The VIM of isolated processes: `nms.drivers.process` on the ground of `nms.drivers.netns.ground`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nms.drivers.api import ConfigError, setting, strict
from nms.drivers.netns.ground import NetnsGround
from nms.drivers.netns.layout import Layout
from nms.drivers.process.vim import KEYS, ProcessDriver

ME = "vim netns"


class NetnsVim(ProcessDriver):
    """The driver.

    Configuration: that of `ProcessDriver`, and ``addresses`` (private block, default ``10.81.0.0/16``; two domains on
    one machine need two, and the data plane of a domain the same), ``bandwidth`` (Mbit/s of each instance in
    either direction, default 0: no limit), ``reachable`` (list of ``address:port`` on the access network, TCP, that
    instances may connect to, as the platform's Mp1; default none), ``processes`` (most processes of an
    instance, default 512).
    """

    def __init__(self, config: Mapping[str, object], state: Path) -> None:
        strict(ME, config, (*KEYS, "addresses", "bandwidth", "processes", "reachable"))
        bandwidth = setting(ME, config, "bandwidth", float, 0.0)
        processes = setting(ME, config, "processes", int, 512)
        if bandwidth < 0 or processes < 1:
            raise ConfigError(f"driver {ME}: 'bandwidth' must not be negative, and 'processes' at least 1")
        layout = Layout(ME, config)
        reachable = [_endpoint(layout, str(text)) for text in setting(ME, config, "reachable", list, [])]
        super().__init__(ME, config, state, NetnsGround(ME, layout, reachable, bandwidth, processes, state))


def _endpoint(layout: Layout, text: str) -> tuple[str, int]:
    """Address and port.  Raises `ConfigError`."""
    address, _, port = text.rpartition(":")
    try:
        if layout.on_access(address) and 0 < int(port) < 65536:
            return address, int(port)
    except ValueError:
        pass
    raise ConfigError(
        f"driver {ME}: 'reachable' has {text!r}, which is no address:port on the access network of {layout.gateway}"
    )
