"""The account that the driver uses: a cloud of a clouds.yaml that only its owner may read."""

from __future__ import annotations

import stat
from pathlib import Path

from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.exceptions import ConfigException

from nms.drivers.api import ConfigError


def read(driver: str, file: Path, cloud: str, timeout: float) -> CloudRegion:
    """How to reach the cloud, and as whom.  Nothing of it is ever logged.

    Args:
        timeout: seconds that a request may take.

    Raises `ConfigError`, without a word of what the file holds.
    """
    try:
        mode = file.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"driver {driver}: {file} must be readable by its owner only: chmod 600 {file}")
        with file.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"driver {driver}: clouds file {file} cannot be read: {error.strerror}") from error
    try:
        # Neither the environment nor files in the user's folders: what is configured here is all that counts.
        found = OpenStackConfig(
            config_files=[str(file)], secure_files=[], vendor_files=[], load_envvars=False, load_yaml_config=True
        )
        if cloud not in found.get_cloud_names():
            raise ConfigError(f"driver {driver}: {file} has no cloud {cloud!r}")
        return found.get_one(cloud=cloud, api_timeout=timeout)
    except ConfigException as error:
        raise ConfigError(f"driver {driver}: cloud {cloud!r} of {file} is incomplete: {error}") from None
    except Exception as error:  # a parser's own: its text would show the lines around the mistake
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"driver {driver}: {file} is no clouds.yaml ({type(error).__name__})") from None
