"""The isolating infrastructure of one Linux host: a VIM and a data plane in network namespaces (Mm6, Mm7, Mp2).

One *fabric*, a network namespace of the domain, holds the access bridge, where clients and this host are, and a
bridge for each slice.  An instance is a tree of processes in a network namespace of its own on its slice's bridge, as
a user without privileges, limited by cgroups.  The fabric routes and steers; nftables in it keeps slices apart.

`layout` names and numbers all this (pure), `fabric` makes it, `ground` puts instances on it, `limits` are the cgroups,
`rules` translates traffic rules (pure), `vim` and `dataplane` are the drivers, and `system` runs the programs
(ip, tc, nft: their text is the documented interface, their errors can be shown, and no thread of ours ever
changes its namespace).  It needs root.
"""

from nms.drivers.netns.dataplane import NetnsDataplane
from nms.drivers.netns.system import missing
from nms.drivers.netns.vim import NetnsVim

__all__ = ["NetnsDataplane", "NetnsVim", "missing"]
