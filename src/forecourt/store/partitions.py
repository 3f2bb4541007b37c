"""Readings in partitions of a week each, where the database has partitions (PostgreSQL): forgetting drops whole weeks.

Guarantees
* The week that a reading arrives in has a partition before the reading is written. What a station's clock puts into a
  week that has none goes to `readings_other`; nothing is refused for its time.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from forecourt.store import driver
from forecourt.store.engines import is_postgresql

_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
_WEEK: Final = timedelta(weeks=1)
_NAME: Final = re.compile(r"readings_(\d{8})")
_OTHERS: Final = "SELECT EXISTS (SELECT FROM readings_other WHERE at >= %s AND at < %s)"
_PARTITIONS: Final = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'readings'::regclass")


def week_of(at: datetime) -> datetime:
    """When the week of `at` began."""
    return _MONDAY + (at - _MONDAY) // _WEEK * _WEEK


class Partitions:
    """Which weeks are known to have a partition."""

    def __init__(self) -> None:
        self._there: set[datetime] = set()

    def make_room(self, connection: Connection, at: datetime) -> None:
        """See that the weeks of `at` and the next have a partition."""
        week = week_of(at)
        if week + _WEEK in self._there or not is_postgresql(connection):
            return
        for begin in (week, week + _WEEK):
            end = begin + _WEEK
            # Rows that went to `readings_other` keep their week there: moving them would hold up everybody.
            if not driver.run(connection, _OTHERS, (begin, end)).value():
                driver.run(
                    connection,
                    f"CREATE TABLE IF NOT EXISTS {_name(begin)} PARTITION OF readings"
                    f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')",
                )
            self._there.add(begin)


def drop_before(connection: Connection, before: datetime) -> int:
    """Drop the weeks that are over before `before`; gives how many readings that were."""
    if not is_postgresql(connection):
        return 0
    count = 0
    for name in connection.execute(_PARTITIONS).scalars().all():
        matched = _NAME.fullmatch(name)
        if matched is None or datetime.strptime(matched[1], "%Y%m%d").replace(tzinfo=UTC) + _WEEK > before:
            continue
        count += connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608
        connection.exec_driver_sql(f"DROP TABLE {name}")
    return count


def _name(begin: datetime) -> str:
    return f"readings_{begin:%Y%m%d}"
