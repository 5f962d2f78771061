"""What partners are shown of the blocks below the orchestrator, and in which lists they may write: a table.

A `Window` is one abstraction model under an agreement (Table 3 of the paper; options 1 to 4): the container, under
which boundary options and in which role this domain fills it, and its writable lists.  Adding a list is adding a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nms.mec.occurrence import plain
from nms.mec.session import Members

AGREEMENT: Final = "/mec-federation:federation/partner/agreement"

_STOPPED: Final[Members] = {
    "instantiation-state": "mec-types:not-instantiated",
    "operational-state": "mec-types:stopped",
}
#: What is asked of the infrastructure is in the agreement's slice, whether it says so or not.
_IN_SLICE: Final[Mapping[str, str]] = {"slice": "slice"}


@dataclass(frozen=True, slots=True)
class Writable:
    """A list in which a partner's entry is an intent.

    Attributes:
        create, remove: operations of mec-types that its coming and going are.
        references: leaf of the entry -> list of the same agreement whose entry it names.
        begun: state that is shown as soon as the intent has been written; what was so before is not its outcome.
        failed: state that is shown, with the error, when the intent could not be carried out.
        followed: whether the block tells of its work by operation occurrences.
        settled: where it does not: whether a state shows that the block is done with the entry.
        rules: lists in the entry whose entries have a state of their own.
    """

    create: str
    remove: str
    references: Mapping[str, str] = field(default_factory=dict)
    begun: Members = field(default_factory=dict)
    failed: Members = field(default_factory=dict)
    followed: bool = True
    settled: Callable[[Mapping[str, Any]], bool] = bool
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """An abstraction model under agreements.

    Attributes:
        container: with its module, for instance "mec-resource:resources".
        filled: boundary option (local name of its identity) -> our role in the agreements in which we fill it.
        lists: the writable ones; an entry refers to entries of lists that stand before its own.
        followed: whether the model has operation occurrences.
    """

    container: str
    filled: Mapping[str, str]
    lists: Mapping[str, Writable]
    followed: bool = True

    @property
    def path(self) -> str:
        """Schema path."""
        return f"{AGREEMENT}/{self.container}"

    def shown(self, agreement: Mapping[str, Any]) -> bool:
        """Whether we fill it under an agreement."""
        return self.filled.get(plain(agreement.get("boundary-option", ""))) == agreement.get("role")


RESOURCES: Final = Window(
    "mec-resource:resources",
    {
        "option-infrastructure": "provider",
        "option-platform-consumer-infrastructure": "consumer",
        "option-platform-provider-infrastructure": "provider",
        "option-service": "provider",
    },
    {
        "slice": Writable(
            "instantiate", "terminate", begun={"state": "mec-types:building"}, failed={"state": "mec-types:down"}
        ),
        "image": Writable("onboard", "delete-package", _IN_SLICE, failed={"state": "mec-types:failed"}),
        "reservation": Writable(
            "configure",
            "terminate",
            _IN_SLICE,
            failed={"state": "mec-types:refused"},
            followed=False,
            settled=lambda state: True,
        ),
        "compute-instance": Writable(
            "instantiate",
            "terminate",
            {**_IN_SLICE, "image": "image", "reservation": "reservation"},
            failed=_STOPPED,
        ),
    },
)

PLATFORM: Final = Window(
    "mec-platform:platform",
    {
        "option-platform-consumer-infrastructure": "provider",
        "option-platform-provider-infrastructure": "provider",
        "option-service": "provider",
    },
    {
        "application": Writable(
            "instantiate",
            "terminate",
            begun={"ready": False},
            failed={"operational-state": "mec-types:stopped", "ready": False},
            followed=False,
            settled=lambda state: state.get("ready") is True or plain(state.get("operational-state", "")) == "stopped",
            rules=("traffic-rule", "dns-rule"),
        ),
        "service": Writable(
            "configure",
            "terminate",
            {"application": "application"},
            failed={"state": "mec-types:inactive"},
            followed=False,
            settled=bool,
        ),
    },
    followed=False,
)

MANAGER: Final = Window(
    "mec-platform-manager:platform-manager",
    {"option-service": "provider"},
    {
        "package": Writable("onboard", "delete-package", failed={"onboarding-state": "mec-types:failed"}),
        "app-instance": Writable(
            "instantiate", "terminate", {"package": "package", "reservation": "reservation"}, failed=_STOPPED
        ),
    },
)

WINDOWS: Final = (RESOURCES, PLATFORM, MANAGER)
