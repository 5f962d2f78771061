"""The contract of VIM drivers, on a real control plane."""

from tests.drivers.vim_contract import VimContract


class TestContract(VimContract):
    """The driver of OpenStack clouds."""
