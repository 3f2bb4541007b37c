"""Exports as Parquet and of readings: the rows of the CSV, with types, in pieces; and what is said without pyarrow."""

import csv
import io
import sys
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from forecourt.api import parquet
from tests.api.houses import House, house
from tests.api.test_api_money import QUICK, begin, cdr_of, end, tariff


@pytest.fixture
async def charged(tmp_path: Path) -> AsyncIterator[House]:
    """A CSMS where somebody has charged."""
    async with house(tmp_path, csms_settings=QUICK) as made:
        await tariff(made)
        async with made.station("CS-1") as station:
            wire_id = await begin(station, "=TAG")
            samples = [
                {"value": "6000", "unit": "Wh"},
                {"value": "7.2", "measurand": "Power.Active.Import", "unit": "kW"},
            ]
            values = [{"timestamp": "2025-11-01T12:30:00Z", "sampledValue": samples}]
            await station.call("MeterValues", {"connectorId": 1, "transactionId": wire_id, "meterValue": values})
            await end(station, wire_id)
        await cdr_of(made)
        yield made


async def table(house: House, name: str) -> list[dict[str, Any]]:
    response = await house.client.get(f"/api/v1/exports/{name}.parquet")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(response.content)).to_pylist()
    return rows


async def lines(house: House, name: str) -> list[dict[str, str]]:
    response = await house.client.get(f"/api/v1/exports/{name}.csv")
    return list(csv.DictReader(io.StringIO(response.text)))


async def test_the_same_rows_with_types(charged: House) -> None:
    (cdr,) = await table(charged, "cdrs")
    (line,) = await lines(charged, "cdrs")
    assert list(cdr) == list(line)
    assert cdr["total_incl_vat"] == Decimal(line["total_incl_vat"]) == Decimal("5.24")
    assert cdr["started_at"] == datetime(2025, 11, 1, 12, tzinfo=UTC)
    (transaction,) = await table(charged, "transactions")
    assert (transaction["id_token"], transaction["energy_wh"], transaction["orphan"]) == ("=TAG", 10_000.0, False)
    assert (await lines(charged, "transactions"))[0]["id_token"] == "'=TAG"
    readings = await table(charged, "meter-values")
    assert [(row["measurand"], row["value"]) for row in readings if row["at"].minute == 30] == [
        ("Energy.Active.Import.Register", 6000.0),
        ("Power.Active.Import", 7200.0),
    ]
    assert [row["at"] for row in readings] == sorted(row["at"] for row in readings)
    assert len(readings) == len(await lines(charged, "meter-values"))
    for name in ("cdrs", "transactions", "meter-values"):
        empty = await charged.client.get(f"/api/v1/exports/{name}.parquet?id_token=nobody")
        assert pq.read_table(io.BytesIO(empty.content)).num_rows == 0
    await charged.ask("GET", "/exports/meter-values.parquet?station_id=none", 404)


async def test_without_pyarrow_it_says_what_to_install(charged: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    problem = await charged.ask("GET", "/exports/cdrs.parquet", 501)
    assert "forecourt[parquet]" in problem["detail"]
    assert await lines(charged, "cdrs")


async def test_it_leaves_in_pieces_and_is_never_in_memory_as_a_whole() -> None:
    columns = (("n", "integer"), ("text", "text"))
    pages = 60

    async def rows() -> AsyncIterator[list[tuple[Any, ...]]]:
        for page in range(pages):
            yield [(page * 1000 + k, f"{page}-{k}" * 20) for k in range(1000)]

    parquet.needed()
    tracemalloc.start()
    pieces = bytearray()
    most = 0
    async for piece in parquet.written(columns, rows()):
        pieces += piece
        most = max(most, len(piece))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    read = pq.ParquetFile(io.BytesIO(pieces))
    assert read.metadata.num_rows == pages * 1000
    assert read.metadata.num_row_groups == pages * 1000 // 10_000
    assert most < len(pieces) / 2
    assert peak < 30_000_000
