"""What a station needs from outside: hardware to obey it, and a journal to remember for it.

Guarantees
* The hardware takes effects and gives inputs; the core never waits for it. What it wants to say on its own account is
  told whenever it happens, by whoever drives the core.
* Nothing in here knows how hardware or journal work: simulated, MQTT, a file, memory.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.journal import Change, JournalState
from forecourt.station.effects import HardwareEffect, ShowPrices, SystemEffect
from forecourt.station.inputs import HardwareInput, SecurityVerdict, SystemInput
from forecourt.station.security_questions import SecurityQuestion


class Hardware(Protocol):
    """EVSEs with their meters, locks and control pilots, and the system they hang on."""

    def carry_out(self, effect: HardwareEffect, now: Now) -> Sequence[HardwareInput]:
        """Do what the core asks, or ignore what has no meaning here; what is known of it at once is the result.

        `LockConnector` and `ReleaseConnector` are answered by a `LockChanged`, now or later. `Reboot`, `Configure` and
        `SetClock` are for information: whoever drives the core sees to them; so are `ReservationMade`,
        `ReservationOver` and `PublishSchedule`, which the core itself obeys.
        """
        ...

    def advance(self, now: Now) -> Sequence[HardwareInput]:
        """What has happened until now. Asked before the core is told anything else, so that readings are of now."""
        ...

    def report(self, now: Now) -> Sequence[HardwareInput]:
        """Everything, for a core that has just started: whether there are cars, cables and faults, what meters read."""
        ...

    def next_deadlines(self) -> Deadlines:
        """When to ask `advance` at the latest."""
        ...


class Display(Protocol):
    """What people in front of the station read of prices and costs: a screen, or whoever passes it on."""

    def show(self, shown: ShowPrices) -> None:
        """From now on."""
        ...


class System(Protocol):
    """What the station runs on: fetches and installs firmware, and uploads logs."""

    wake: Callable[[], None]
    """To be called when there is news that no deadline has told of; `advance` is asked then."""

    @property
    def protocols(self) -> tuple[str, ...]:
        """What it can fetch from and upload to: FTP, FTPS, HTTP, HTTPS, SFTP."""
        ...

    def carry_out(self, effect: SystemEffect, now: Now) -> Sequence[SystemInput]:
        """Do what the core asks, or begin to; what is known of it at once is the result. It does not wait.

        What was asked of a system that has since restarted is asked again by the core, but for `InstallFirmware`: it
        asks `ConfirmFirmware` then, under the same `job_id`.
        """
        ...

    def advance(self, now: Now) -> Sequence[SystemInput]:
        """What has come of it until now."""
        ...

    def next_deadlines(self) -> Deadlines:
        """When to ask `advance` at the latest; earlier is no mistake."""
        ...


class Security(Protocol):
    """Who keeps certificates and keys. Private keys stay there (security white paper A02.FR.05)."""

    def answer(self, question: SecurityQuestion, at: datetime) -> SecurityVerdict:
        """Do it, and say how it went. It never raises: what can't be done is Failed."""
        ...


class Journal(Protocol):
    """Where a station keeps what must survive a power cut."""

    def load(self) -> JournalState:
        """Everything it holds."""
        ...

    def commit(self, changes: tuple[Change, ...]) -> None:
        """Carry out `changes` in their order, all or none; when this returns, they survive a power cut.

        Raises:
            OSError: they can't be kept; none of them was.
        """
        ...
