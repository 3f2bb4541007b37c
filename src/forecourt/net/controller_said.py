"""What it is about a station's message that decides its way through the controller."""

from forecourt.dialect.port import StationCall
from forecourt.domain.events import Notice, StationBooted, TransactionStarted
from forecourt.domain.requests import Authorize
from forecourt.net.controller_stand_in import token_of


def boot_in(said: StationCall | None) -> StationBooted | None:
    """The boot that it tells; None: it tells none."""
    if not isinstance(said, Notice):
        return None
    return next((event for event in said.events if isinstance(event, StationBooted)), None)


def starts(said: Notice) -> bool:
    """Whether a transaction begins."""
    return any(isinstance(event, TransactionStarted) for event in said.events)


def wants_answer(said: StationCall) -> bool:
    """Whether the CSMS's answer tells something that is to be remembered."""
    return isinstance(said, Authorize) or (isinstance(said, Notice) and (starts(said) or token_of(said) is not None))
