"""How cars keep to their limits, and what follows when one doesn't.

Guarantees (`controller.md` §3.8)
* With the reading that shows a car above everything it was allowed (by more than the larger of 1 A and 10 %), what it
  draws is reserved, so that the others make room at once, and it is offered its fallback and nothing more: paused.
* It stays so for `offender_pause_s` after the last such reading. Who offends `offences` times in one visit, or goes on
  for `defiance_s` though paused, is quarantined: its hardware's maximum is reserved while it draws too much, and it
  gets nothing more until it is unplugged; its transaction is ended by a remote stop (`stop_offenders`).
* Each step raises an alarm, once.
"""

from forecourt.controller.effects import Alarm
from forecourt.controller.ledger import Account
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.clock import Now
from forecourt.domain.sentence import say


class Conduct:
    """That of the car at one EVSE. Times are `Now.elapsed_s`."""

    def __init__(self, account: Account, settings: ControllerSettings) -> None:
        self._account = account
        self._settings = settings
        self.over_since_s: float | None = None
        """Since when it is over its limit; None: it isn't."""
        self.offences = 0
        self.paused_until_s = 0.0
        self.quarantined = False

    def look(self, now: Now) -> list[Alarm]:
        """A reading came, or time has passed."""
        account, settings = self._account, self._settings
        if not account.disobeys():
            self.over_since_s = None
            return []
        found: list[Alarm] = []
        evse, drawn_a = str(account.point.key), account.measured_a or 0.0
        self.paused_until_s = now.elapsed_s + settings.offender_pause_s
        if self.over_since_s is None:
            self.over_since_s = now.elapsed_s
            self.offences += 1
            words = "{evse} draws {drawn:.1f} A, its limit is {limit:.1f} A"
            what = say(words, evse=evse, drawn=drawn_a, limit=account.holds_a(now))
            found.append(Alarm("over-limit", what, account.point.key))
        defies = now.elapsed_s >= self.over_since_s + settings.defiance_s
        if not self.quarantined and (defies or self.offences >= settings.offences):
            self.quarantined = True
            words = "{evse} draws {drawn:.1f} A over its limit {how}; it gets nothing more until it is unplugged"
            how = say("though it was told to pause") if defies else say("for the {n:.0f}. time", n=self.offences)
            found.append(Alarm("quarantined", say(words, evse=evse, drawn=drawn_a, how=how), account.point.key))
        return found

    def left(self) -> None:
        """The car is gone."""
        self.over_since_s, self.offences, self.paused_until_s, self.quarantined = None, 0, 0.0, False

    def pauses(self, now: Now) -> bool:
        """Whether it gets no share."""
        return self.quarantined or now.elapsed_s < self.paused_until_s

    def reserved_a(self, now: Now) -> float:
        """What to count with while it gets none."""
        exposure_a = self._account.exposure_a(now)
        if self.quarantined and self.over_since_s is not None:
            return max(exposure_a, self._account.point.maximum_a)
        return exposure_a

    def next_s(self, now: Now) -> float | None:
        """When something changes by the mere passing of time."""
        return self.paused_until_s if self.paused_until_s > now.elapsed_s and not self.quarantined else None
