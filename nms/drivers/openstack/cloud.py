"""Connections to the cloud, and its refusals as errors of ours.

A connection belongs to one thread (openstacksdk promises no more), and to one project: that of the account, or that of
a slice, in which servers and images are made.
"""

from __future__ import annotations

import threading

from keystoneauth1 import exceptions as auth
from openstack import exceptions as sdk
from openstack.config.cloud_region import CloudRegion
from openstack.connection import Connection

from nms.drivers.api import RpcError

#: error-app-tag of what may pass by itself.
TEMPORARY = "temporary"


class Cloud:
    """The connections of the thread that asks."""

    def __init__(self, account: CloudRegion) -> None:
        self._account = account
        self._local = threading.local()

    @property
    def operator(self) -> Connection:
        """As the account itself."""
        if not hasattr(self._local, "operator"):
            self._local.operator = Connection(config=self._account)
            self._local.slices = {}
        return self._local.operator

    def within(self, project: str) -> Connection:
        """The same account in another project, by its id."""
        operator = self.operator
        if project not in self._local.slices:
            self._local.slices[project] = operator.connect_as(project_id=project, project_name=None)
        return self._local.slices[project]

    def forget(self, project: str) -> None:
        """A project that is gone."""
        self._local.__dict__.get("slices", {}).pop(project, None)


def refusal(error: Exception) -> RpcError:
    """What an exception of openstacksdk means, in one line without credentials."""
    if isinstance(error, auth.Unauthorized) or getattr(error, "status_code", None) == 401:
        return RpcError("access-denied", "the cloud does not accept our account: look at the clouds file")
    if isinstance(
        error, auth.ConnectFailure | auth.ConnectTimeout | auth.RetriableConnectionFailure | sdk.ResourceTimeout
    ):
        return RpcError("operation-failed", f"the cloud cannot be reached: {_line(error)}", app_tag=TEMPORARY)
    if isinstance(error, auth.EndpointNotFound | auth.DiscoveryFailure | auth.EmptyCatalog):
        return RpcError("operation-failed", f"the cloud lacks a service: {_line(error)}")
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    said = _line(error)
    if status in (403, 409, 413) and "quota" in said.lower():
        return RpcError("resource-denied", f"the cloud's quota is used up: {said}")
    if status == 403:
        return RpcError("access-denied", f"the cloud does not allow it: {said}")
    if isinstance(status, int) and status >= 500:
        return RpcError("operation-failed", f"the cloud failed: {said}", app_tag=TEMPORARY)
    return RpcError("operation-failed", f"the cloud refuses: {said}")


def _line(error: Exception) -> str:
    """What it says, in one line of bounded length."""
    text = getattr(error, "details", None) or getattr(error, "message", None) or str(error)
    return " ".join(str(text).split())[:300] or type(error).__name__
