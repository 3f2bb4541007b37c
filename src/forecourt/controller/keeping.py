"""What of the books survives the controller's own end, and how it is taken over at the next start.

Guarantees (`controller.md` §3.2, §3.6)
* What is kept of an EVSE is never less than what it may hold: a limit is in the journal before it is sent, and leaves
  the journal when a later one is confirmed and obeyed. A renewal of the same limit writes nothing.
* A lease counts anew from the start, in full: no clock is trusted to say how much of it is over.
* What was leased, on its way or in doubt comes back as in doubt, and is said again at once. An EVSE of which nothing
  was kept counts with its maximum.
"""

import math
from typing import Any, Final

import msgspec

from forecourt.controller.ledger import Limit
from forecourt.controller.line import Line
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.clock import Now
from forecourt.domain.composite import ActiveTransaction
from forecourt.domain.journal import Change, Delete, JournalState, Put
from forecourt.quantities import Phase

LINES: Final = "line"
CONSTRAINTS: Final = "constraint"

_encode = msgspec.json.Encoder().encode


class Keeping:
    """The changes of one turn, for one commit; a key that changes twice is written once."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], Change] = {}

    def put(self, section: str, key: str, value: object) -> None:
        """Keep `value` as JSON."""
        self._changes[section, key] = Put(section, key, _encode(value))

    def delete(self, section: str, key: str) -> None:
        """Forget what is there."""
        self._changes[section, key] = Delete(section, key)

    def take(self) -> tuple[Change, ...]:
        """All changes since the last time."""
        taken, self._changes = tuple(self._changes.values()), {}
        return taken


class KeptLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit without its time; `lease_s` None: it has no end."""

    current_a: float
    bound: bool = False
    lease_s: float | None = None


class KeptLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One EVSE in the journal. `base` None: it has confirmed nothing."""

    base: KeptLimit | None = None
    may_hold: tuple[KeptLimit, ...] = ()
    """Every other limit that it may hold."""
    unproven: KeptLimit | None = None
    """One that it does not hold any more, and its car may still follow."""
    transaction: ActiveTransaction | None = None
    in_transaction: bool = False
    active_phases: tuple[int, ...] | None = None
    form: int = 0
    form_taken: bool = False
    binds: bool = True
    first_line: Phase | None = None


_decode_line = msgspec.json.Decoder(KeptLine).decode


def place_of(line: Line) -> str:
    """Its key in the journal."""
    return f"{line.point.station_id}/{line.point.evse_id}"


def kept(line: Line, settings: ControllerSettings) -> KeptLine:
    """What of `line` has to survive."""
    account = line.account
    others = {
        _kept_limit(limit, settings)
        for limit in (account.bound, *account.uncertain, *account.sent.values())
        if limit is not None
    }
    base = None if account.base is None else _kept_limit(account.base, settings)
    return KeptLine(
        base=base,
        may_hold=tuple(sorted(others - {base}, key=lambda limit: (limit.bound, limit.current_a, limit.lease_s or 0.0))),
        unproven=None if account.unproven is None else _kept_limit(account.unproven, settings),
        transaction=line.transaction,
        in_transaction=account.in_transaction,
        active_phases=account.active_phases,
        form=line.form,
        form_taken=line.form_taken,
        binds=line.binds,
        first_line=line.first_line,
    )


def restore(line: Line, memory: JournalState, settings: ControllerSettings, now: Now) -> KeptLine | None:
    """Take over what the journal holds of `line`; None: nothing that can be read."""
    raw = memory.get(LINES, {}).get(place_of(line))
    if raw is None:
        return None
    try:
        told = _decode_line(raw)
    except msgspec.DecodeError:
        return None
    account = line.account
    if told.base is not None:
        account.base = _limit(told.base, now)
    doubtful = [*told.may_hold, *([told.base] if told.base is not None and told.base.lease_s is not None else [])]
    account.uncertain = [_limit(limit, now) for limit in doubtful]
    account.unproven = None if told.unproven is None else _limit(told.unproven, now)
    account.confirmed_s = now.elapsed_s
    account.in_transaction = told.in_transaction
    account.active_phases = told.active_phases
    line.transaction = told.transaction
    line.binds = told.binds and settings.transaction_profiles
    line.form, line.form_taken = told.form, told.form_taken
    line.rotation.first_line = told.first_line
    return told


def decoded(raw: bytes, kind: Any) -> Any:
    """A value that `Keeping.put` wrote; None where it can't be read."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError:
        return None


def _kept_limit(limit: Limit, settings: ControllerSettings) -> KeptLimit:
    return KeptLimit(limit.current_a, limit.bound, None if math.isinf(limit.lease_until_s) else settings.lease_s)


def _limit(kept_limit: KeptLimit, now: Now) -> Limit:
    until_s = math.inf if kept_limit.lease_s is None else now.elapsed_s + kept_limit.lease_s
    return Limit(kept_limit.current_a, until_s, kept_limit.bound)
