"""What a server runs: its application's command as user data, a script; pure.

cloud-init runs user data that is a script once, at the first boot; therefore this one copies itself to the folder of
scripts that run at every boot.  What it prints is seen on the server's console.
"""

from __future__ import annotations

import re
import shlex

from nms.drivers.api import InstanceSpec, RpcError

#: cloud-init's folder for every boot, where it is there.
_EVERY_BOOT = "/var/lib/cloud/scripts/per-boot"
#: Nova's limit of user data, before base64 (compute API v2.1: 65535 characters with it).
MAX_SCRIPT = 49_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def script(spec: InstanceSpec, zone: str, address: str) -> str:
    """The script; empty where the image's own start is all there is to run."""
    if not spec.command:
        return ""
    environment = {
        "MEC_ADDRESS": address,
        "MEC_PORT": str(spec.port or ""),
        "MEC_ZONE": zone,
        **spec.environment,
        "MEC_APP_INSTANCE_ID": spec.id,
    }
    lines = [
        "#!/bin/sh",
        f'[ ! -d {_EVERY_BOOT} ] || [ "${{0%/*}}" = {_EVERY_BOOT} ] || install -m 700 "$0" {_EVERY_BOOT}/application',
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        f"exec {shlex.join(spec.command)}",
    ]
    return "\n".join(lines) + "\n"


def check(spec: InstanceSpec) -> None:
    """Raises `RpcError`: invalid-value, when nothing sound can be made of the instance."""
    if not _ID.fullmatch(spec.id):
        raise RpcError("invalid-value", f"instance id {spec.id!r} must be made of letters, digits, '.', '_', '-'")
    words = (*spec.command, *spec.environment.values())
    if any("\0" in word for word in words) or not all(map(_VARIABLE.fullmatch, spec.environment)):
        raise RpcError("invalid-value", f"instance {spec.id} has a malformed command or environment")
    if spec.port is not None and not 0 < spec.port < 65536:
        raise RpcError("invalid-value", f"instance {spec.id} asks for port {spec.port}, which does not exist")
    if len(script(spec, spec.zone, "255.255.255.255").encode()) > MAX_SCRIPT:
        raise RpcError("too-big", f"command and environment of instance {spec.id} exceed {MAX_SCRIPT} bytes")
