"""What follows from readings and was put off when the process ended: made up for at the next start.

Guarantees
* While the writer is behind, the database says so, from the commit on that left something out. Whoever begins to write
  then sees to it that transactions know the last good reading of theirs that is in the books.
* Of what else was put off, when a station was last seen and what power flowed, nothing remains to be known.
"""

import math
from typing import Any, Final

from sqlalchemy import Connection, select, text, update

from forecourt.csms.records import ENERGY_DIGITS, TransactionState
from forecourt.store.readings import SqlReadings
from forecourt.store.tables import sequences, transactions

_NAME: Final = "behind"
_IS_BEHIND: Final = select(sequences.c.value).where(sequences.c.name == _NAME)
_MARK: Final = text(
    "INSERT INTO sequences (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value"
)
_ACTIVE: Final = select(
    transactions.c.number, transactions.c.station_number, transactions.c.meter_start_wh, transactions.c.meter_last_at
).where(transactions.c.state == TransactionState.ACTIVE)


def mark_behind(connection: Connection, behind: bool) -> None:
    """With this commit something is left out, or nothing is any more."""
    connection.execute(_MARK, {"name": _NAME, "value": int(behind)})


def catch_up(connection: Connection) -> int:
    """Put right what was left out; gives how many transactions that was."""
    if not connection.execute(_IS_BEHIND).scalar():
        return 0
    count, metered = 0, SqlReadings(connection)
    for number, station, start_wh, last_at in connection.execute(_ACTIVE).all():
        last = metered.last_register(station, number)
        if last is None or (last_at is not None and last[0] <= last_at):
            continue
        at, energy_wh = last
        values: dict[str, Any] = {"meter_last_at": at, "meter_last_wh": energy_wh}
        if start_wh is not None and math.isfinite(start_wh) and start_wh >= 0:
            values["energy_wh"] = round(energy_wh - start_wh, ENERGY_DIGITS)
        connection.execute(update(transactions).where(transactions.c.number == number), values)
        count += 1
    mark_behind(connection, False)
    return count
