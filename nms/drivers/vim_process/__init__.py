"""The embedded VIM: each instance is a process on a loopback address of its own, without root (Mm6, Mm7).

`vim` is the driver, `hosts` the accounting, `image` the unpacking of an archive, `proc` what the kernel tells of
processes.
"""

from nms.drivers.vim_process.vim import ProcessVim

__all__ = ["ProcessVim"]
