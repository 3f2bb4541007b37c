"""Readings come in twice on SQLite: to the end of one table, and later to their station's in another; found once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from forecourt.csms.records import Reading
from forecourt.domain.meter import SampledValue
from forecourt.store import readings as module
from forecourt.store.engines import make_engine
from forecourt.store.migrate import upgrade
from forecourt.store.readings import SqlReadings
from forecourt.store.tables import metadata, readings, recent_readings

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def reading(station: int, second: int, wh: float, transaction: int | None = None) -> Reading:
    return Reading(
        organisation_id=1,
        station_number=station,
        evse_id=0,
        transaction_number=transaction,
        at=NOW + timedelta(seconds=second),
        energy_wh=wh,
        samples=(SampledValue(wh),),
        received_at=NOW,
    )


BATCHES = st.lists(
    st.lists(
        st.builds(
            reading,
            st.integers(1, 4),
            st.integers(0, 6),
            st.sampled_from([1.0, 2.0]),
            st.one_of(st.none(), st.integers(1, 2)),
        ),
        max_size=12,
    ),
    max_size=12,
)


@given(batches=BATCHES, limit=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_each_reading_is_found_once_wherever_it_is(batches: list[list[Reading]], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_RECENT", 8)
        engine = make_engine("sqlite://")
        expected: dict[tuple[int, datetime, float, int | None], Reading] = {}
        with engine.begin() as connection:
            metadata.create_all(connection, tables=[readings, recent_readings])
            books = SqlReadings(connection)
            for batch in batches:
                books.pending += batch
                books.flush()
                for one in batch:
                    expected.setdefault((one.station_number, one.at, one.energy_wh or 0.0, one.transaction_number), one)
            for station in range(1, 5):
                for transaction in (None, 1, 2):
                    found = books.find(
                        station_number=station, transaction_number=transaction, evse_id=None, since=None,
                        until=NOW + timedelta(seconds=5), limit=limit,
                    )  # fmt: skip
                    wanted = [
                        one
                        for one in expected.values()
                        if one.station_number == station
                        and one.at < NOW + timedelta(seconds=5)
                        and (transaction is None or one.transaction_number == transaction)
                    ]
                    assert [one.at for one in found] == sorted(one.at for one in wanted)[:limit]
                    assert all(one in wanted for one in found)
                    assert len({(one.at, one.energy_wh, one.transaction_number) for one in found}) == len(found)
        engine.dispose()


def test_recent_ones_move_and_are_marked_placed_and_forgotten_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_RECENT", 100)
    engine = make_engine(f"sqlite:///{tmp_path}/x.db")
    upgrade(engine)
    with engine.begin() as connection:
        books = SqlReadings(connection)
        for second in range(40):
            books.pending += [reading(station, second, float(second), transaction=station) for station in range(1, 6)]
            books.flush()
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (readings, recent_readings)
        ]
        assert sum(counts) == 200
        assert counts[0] > 0
        assert counts[1] <= 100
        books.place(3, 3, 7)
        books.mark([(reading(3, second, float(second), transaction=3), "not right") for second in range(10, 40)])

        def of_3() -> list[Reading]:
            return books.find(
                station_number=3, transaction_number=3, evse_id=7, since=None, until=None, limit=100
            )  # fmt: skip

        assert [one.suspect for one in of_3()] == [None] * 10 + ["not right"] * 30
        assert books.last_register(3, 3) == (NOW + timedelta(seconds=9), 9.0)
        assert books.forget(NOW + timedelta(seconds=5)) == 25
        assert [one.at for one in of_3()] == [NOW + timedelta(seconds=second) for second in range(5, 40)]
        again = msgspec.structs.replace(reading(3, 7, 7.0, transaction=3), received_at=NOW + timedelta(hours=1))
        books.pending.append(again)
        books.flush()
        assert len(of_3()) == 35, "said again, kept once"
    engine.dispose()
