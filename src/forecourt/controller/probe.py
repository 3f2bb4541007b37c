"""How a probe runs: a script that asks and waits, driven by answers, readings and time.

Guarantees
* Meanwhile the issuer says nothing to the EVSE, and the others count with what it may draw.
* Every limit goes through the books: sent before it leaves, then confirmed, refused or in doubt.
* A lease that is tried is not believed to end: the books count with its limit until another is confirmed.
* It ends by itself: a station that is gone, or boots unasked, ends it with a sentence, and nothing is kept.
"""

import math
from collections.abc import Callable, Generator

import msgspec

from forecourt.controller.capability import Capability
from forecourt.controller.effects import AskStation, Effect, Urgency
from forecourt.controller.ledger import Limit
from forecourt.controller.line import Line
from forecourt.domain.clock import Now
from forecourt.domain.events import MeterSampled, StationBooted, StationEvent
from forecourt.domain.meter import Measurand
from forecourt.domain.requests import CsmsRequest, CsmsRequestAnswer


class Ask(msgspec.Struct, frozen=True):
    """A request to the station; `books` is the limit that it sets, if it sets one."""

    request: CsmsRequest
    books: Limit | None = None


class Wait(msgspec.Struct, frozen=True):
    """For something, at most until an instant (elapsed)."""

    until_s: float
    enough: Callable[[], bool]


class Told(msgspec.Struct, frozen=True):
    """`accepted` None: nobody knows. Also the outcome of a wait: whether it was for something."""

    accepted: bool | None
    answer: CsmsRequestAnswer | None = None


Script = Generator[Ask | Wait, Told, None]


class Ended(Exception):  # noqa: N818 -- it ends; `str()` says why
    """The probe can't go on."""


class Run:
    """One run, on one EVSE. `tokens` gives numbers for requests that nobody else gives; `_script` is what it does."""

    def __init__(self, line: Line, tokens: Callable[[], int], now: Now) -> None:
        self.line = line
        self.step = "begins"
        """What it does, for a person."""
        self.failed: str | None = None
        """Why it ended without a result."""
        self.found: Capability | None = None
        """The result, once it has ended well."""
        self.kept = False
        """Whether the result has been put away."""
        self.token: int | None = None
        """The request that it waits for."""
        self.tokens = tokens
        self._now = now
        self._books: Limit | None = None
        self._awaited: Wait | None = None
        self._trying: Limit | None = None
        """A limit whose lease may or may not end."""
        self._readings = 0
        self._rebooting = self._booted = False
        self._measurands: set[Measurand] = set()
        self._known = Capability(at=now.at, station_id=line.point.station_id)
        self._going = self._script()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.failed is not None or self.found is not None

    @property
    def next_s(self) -> float | None:
        """When to call `expire` (elapsed)."""
        return None if self._awaited is None or self.over else self._awaited.until_s

    # what happens

    def begin(self) -> list[Effect]:
        """The first step."""
        self.line.probing = True
        return self._go(None)

    def answered(self, token: int, accepted: bool | None, answer: CsmsRequestAnswer | None, now: Now) -> list[Effect]:
        """What became of a request."""
        self._now = now
        if token != self.token or self.over:
            return []
        self.token = None
        if self._books is not None:
            account = self.line.account
            if accepted:
                account.limit_confirmed(token, now)
                if math.isinf(self._books.lease_until_s) and self._books.current_a > self.line.point.fallback_a:
                    self._trying = self._books
                else:
                    self._trying = None
            elif accepted is None:
                account.limit_unanswered(token)
            else:
                account.limit_refused(token)
            self._books = None
        return self._go(Told(accepted, answer))

    def heard(self, event: StationEvent, now: Now) -> list[Effect]:
        """Something was told; it is in the books already."""
        self._now = now
        if self.over:
            return []
        if isinstance(event, StationBooted):
            if not self._rebooting:
                return self._end("the station has restarted")
            self._booted = True
        if isinstance(event, MeterSampled) and event.evse_id in (None, self.line.point.evse_id):
            samples = [sample for value in event.meter_values for sample in value.samples]
            self._measurands.update(sample.measurand for sample in samples)
            self._readings += 1
        return self._look()

    def expire(self, now: Now) -> list[Effect]:
        """Time has passed."""
        self._now = now
        return [] if self.over else self._look()

    def lost(self, now: Now) -> list[Effect]:
        """The station can't be reached."""
        self._now = now
        if self.over:
            return []
        if not self._rebooting:
            return self._end("the station can't be reached any more")
        if self.token is not None:
            self.token = None
            return self._go(Told(None))
        return []

    # running the script

    def _script(self) -> Script:
        """What to ask and to wait for."""
        raise NotImplementedError

    def _look(self) -> list[Effect]:
        wait = self._awaited
        if wait is None:
            return []
        enough = wait.enough()
        return self._go(Told(enough)) if enough or self._now.elapsed_s >= wait.until_s else []

    def _go(self, told: Told | None) -> list[Effect]:
        self._awaited = None
        try:
            doing = next(self._going) if told is None else self._going.send(told)
        except StopIteration:
            names = tuple(sorted(one.value for one in self._measurands))
            self.found = msgspec.structs.replace(self._known, at=self._now.at, measurands=names)
            return self._end(None)
        except Ended as error:
            return self._end(str(error))
        if isinstance(doing, Wait):
            self._awaited = doing
            return self._look()
        token = self.token = self.tokens()
        self._books = doing.books
        if doing.books is not None:
            self.line.account.limit_sent(token, doing.books)
        return [AskStation(self.line.point.station_id, token, doing.request, Urgency.REDUCTION)]

    def _end(self, failed: str | None) -> list[Effect]:
        """The issuer goes on from here; what may still be tried is in doubt, and it says another limit at once."""
        account = self.line.account
        self.failed = failed
        self.line.probing = False
        if self.token is not None:
            account.limit_unanswered(self.token)
        if self._trying is not None and self._trying not in account.uncertain:
            account.uncertain.append(self._trying)
        return []
