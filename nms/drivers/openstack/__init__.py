"""A VIM on an OpenStack cloud, through openstacksdk (Mm6, Mm7): slices are projects, instances are servers.

A slice has a project with a quota, a network with a subnet of its own, and a security group that keeps it apart; an
instance is a port of that network, which is its address, and a server.  Everything is named by the configured prefix
and the domain's own identifiers, and looked for before it is made, so that a retry after a lost answer is harmless.

`names` says what things are called and how large a flavour is, `boot` what a server runs (both pure), `account` reads
the credentials, `cloud` holds the connections and turns the cloud's refusals into errors, `hosts`, `images`, `slices`
and `servers` make and find things, blocking; `requests` runs them in threads, `machines` waits for servers to become
what they should, and `vim` is the driver.
It needs the extra ``mec-nms[openstack]`` and an account that may make projects and flavours.
"""

try:
    import openstack  # noqa: F401 (what all the other modules need)
except ImportError as error:
    raise ImportError("openstacksdk is not installed: install mec-nms[openstack]") from error

from nms.drivers.openstack.vim import OpenstackVim

__all__ = ["OpenstackVim"]
