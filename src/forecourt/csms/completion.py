"""When a car will be done: estimated from what is wanted, from its battery, or from what its token usually takes.

Guarantees
* Nothing is estimated that nothing speaks for: the estimate says what it rests on, and there is none while no energy
  flows.
* The power is what the station told last, so that a limit counts from the next reading on; what the future brings
  (limits to come, a battery that takes less towards its end) isn't foreseen.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Final

from forecourt.csms import wishes
from forecourt.csms.errors import Conflict, NotFound
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Reading, Record, Transaction, TransactionState
from forecourt.domain.meter import Measurand

RECENT: Final = timedelta(minutes=30)
"""Readings that are older say nothing of now."""
USUAL_OVER: Final = timedelta(days=180)
USUAL_LEAST: Final = 3
"""So many charges make a habit."""
USUAL_MOST: Final = 20
_LEAST_SOC_RISE: Final = 1.0
"""Percent; less is rounding."""
_AT_BEGIN: Final = 100
_LATELY: Final = 2000


class Basis(StrEnum):
    """What an estimate rests on."""

    WISH = "wish"
    """The energy that somebody wants."""
    STATE_OF_CHARGE = "state_of_charge"
    """What the battery took for each percent."""
    USUAL = "usual"
    """What charges of the token came to lately, in the middle."""


class Completion(Record, frozen=True, kw_only=True):
    """How far a transaction is, and when it will be done."""

    estimated_at: datetime | None = None
    """None: nobody can tell, or nothing flows."""
    basis: Basis | None = None
    remaining_wh: float | None = None
    power_w: float | None = None
    """As the station told it last."""
    soc_percent: float | None = None


async def completion(context: Context, number: int) -> Completion:
    """Of an active transaction. Raises NotFound; Conflict for one that is over."""
    at = context.clock.now().at
    threshold_w = context.settings.charging_threshold_w

    def query(books: Books) -> Completion:
        transaction = books.transactions.get(context.organisation_id, number)
        if transaction is None:
            raise NotFound("transaction", number)
        if transaction.state is not TransactionState.ACTIVE:
            raise Conflict(f"transaction {number} is over")
        return of(books, transaction, at, threshold_w)

    return await context.store.read(query)


def of(books: Books, transaction: Transaction, at: datetime, threshold_w: float) -> Completion:
    """Of that transaction, as the books stand."""
    lately = _readings(books, transaction, at - RECENT, _LATELY)
    power_w = next((reading.power_w for reading in reversed(lately) if reading.power_w is not None), None)
    if power_w is None:
        power_w = _slope_w(lately)
    charges = _states_of_charge(lately)
    taken_wh = transaction.energy_wh or 0.0
    left: dict[Basis, float] = {}
    wish = wishes.in_force(books, transaction, at)
    if wish.energy_wh is not None:
        left[Basis.WISH] = wish.energy_wh - taken_wh
    first = _states_of_charge(_readings(books, transaction, None, _AT_BEGIN))[:1] if charges else []
    to_full_wh = _to_full_wh([*first, *charges])
    if to_full_wh is not None:
        left[Basis.STATE_OF_CHARGE] = to_full_wh
    if not left:
        usual_wh = _usual_wh(books, transaction, at)
        if usual_wh is not None and usual_wh > taken_wh:
            left[Basis.USUAL] = usual_wh - taken_wh
    basis = min(left, key=left.__getitem__, default=None)
    remaining_wh = None if basis is None else max(0.0, left[basis])
    estimated_at = None
    if remaining_wh == 0:
        estimated_at = at
    elif remaining_wh is not None and power_w is not None and power_w >= threshold_w:
        since = max((reading.at for reading in lately), default=at)
        estimated_at = max(at, since + timedelta(hours=remaining_wh / power_w))
    return Completion(
        estimated_at=estimated_at,
        basis=basis,
        remaining_wh=remaining_wh,
        power_w=power_w,
        soc_percent=charges[-1][1] if charges else None,
    )


def _readings(books: Books, transaction: Transaction, since: datetime | None, limit: int) -> list[Reading]:
    return books.transactions.readings(
        station_number=transaction.station_number,
        transaction_number=transaction.number,
        evse_id=None,
        since=since,
        until=None,
        limit=limit,
    )


def _slope_w(readings: Sequence[Reading]) -> float | None:
    """What the register rose by between the last two readings of it."""
    known = [reading for reading in readings if reading.energy_wh is not None][-2:]
    if len(known) < 2 or known[0].at == known[1].at:
        return None
    rise_wh = (known[1].energy_wh or 0.0) - (known[0].energy_wh or 0.0)
    return max(0.0, rise_wh) / ((known[1].at - known[0].at) / timedelta(hours=1))


def _states_of_charge(readings: Iterable[Reading]) -> list[tuple[float | None, float]]:
    """The register and the state of charge (percent), wherever there is the latter."""
    return [
        (reading.energy_wh, sample.value)
        for reading in readings
        for sample in reading.samples
        if sample.measurand is Measurand.SOC and sample.value is not None
    ]


def _to_full_wh(charges: Sequence[tuple[float | None, float]]) -> float | None:
    """What the battery will take still, at as much for a percent as it took up to now."""
    if charges and charges[-1][1] >= 100:
        return 0.0
    metered = [(energy_wh, soc) for energy_wh, soc in charges if energy_wh is not None]
    if not metered or metered[-1][1] - metered[0][1] < _LEAST_SOC_RISE:
        return None
    for_a_percent_wh = (metered[-1][0] - metered[0][0]) / (metered[-1][1] - metered[0][1])
    return (100 - metered[-1][1]) * for_a_percent_wh if for_a_percent_wh > 0 else None


def _usual_wh(books: Books, transaction: Transaction, at: datetime) -> float | None:
    if transaction.id_token is None:
        return None
    before = books.transactions.page(
        transaction.organisation_id,
        station_number=None,
        id_token=transaction.id_token,
        state=TransactionState.ENDED,
        orphan=False,
        started_from=at - USUAL_OVER,
        started_to=None,
        before=None,
        limit=USUAL_MOST,
    )
    energies = [one.energy_wh for one in before if one.energy_wh and one.suspect is None]
    return median(energies) if len(energies) >= USUAL_LEAST else None
