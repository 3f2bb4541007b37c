"""Exports as Parquet: the same rows as the CSV's, with types. `pyarrow` is an optional extra (`forecourt[parquet]`).

Guarantees
* Rows are written in groups as they are read, and leave as they are written: an export is never in memory as a whole.
* Without pyarrow the answer is 501 that says what to install, before anything is sent.
* Amounts and quantities of money are decimals (38, 6), instants UTC in microseconds; a text is never changed.
"""

import io
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from http import HTTPStatus
from types import ModuleType
from typing import Any, Final

from forecourt.api.problems import Refused

_GROUP: Final = 10_000
"""Rows of one row group: few enough for memory, many enough for whoever reads it."""
_DIGITS: Final = 38
_DECIMALS: Final = 6

Columns = Sequence[tuple[str, str]]
"""Names and kinds: text, number, integer, decimal, instant, flag."""


class _Passage(io.RawIOBase):
    """What a writer has written since it was last asked: a file that can't be gone back in."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._place += len(part)
        return len(part)

    def take(self) -> bytes:
        """All that has come since."""
        taken, self._parts = b"".join(self._parts), []
        return taken


async def written(columns: Columns, pages: AsyncIterator[Sequence[tuple[Any, ...]]]) -> AsyncIterator[bytes]:
    """The file, piece by piece. Raises Refused where there is no pyarrow: call `needed` before."""
    arrow, parquet = needed()
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in columns])
    passage = _Passage()
    writer = parquet.ParquetWriter(passage, schema)
    try:
        waiting: list[tuple[Any, ...]] = []

        def write() -> None:
            arrays = [
                arrow.array([_value(kind, row[place]) for row in waiting], type=schema.types[place])
                for place, (_, kind) in enumerate(columns)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            waiting.clear()

        async for page in pages:
            waiting += page
            if len(waiting) >= _GROUP:
                write()
            if part := passage.take():
                yield part
        if waiting:
            write()
    finally:
        writer.close()
    yield passage.take()


def needed() -> tuple[ModuleType, ModuleType]:
    """pyarrow and its Parquet. Raises Refused where it isn't installed."""
    try:
        import pyarrow  # noqa: PLC0415 - an optional extra
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        detail = "Parquet needs pyarrow, which isn't installed here: pip install 'forecourt[parquet]'; .csv is there"
        raise Refused(HTTPStatus.NOT_IMPLEMENTED, detail) from None
    return pyarrow, pyarrow.parquet


def _type(arrow: Any, kind: str) -> Any:
    return {
        "text": arrow.string(),
        "number": arrow.float64(),
        "integer": arrow.int64(),
        "decimal": arrow.decimal128(_DIGITS, _DECIMALS),
        "instant": arrow.timestamp("us", tz="UTC"),
        "flag": arrow.bool_(),
    }[kind]


def _value(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "text":
        return str(value)
    if kind == "decimal":
        return Decimal(value).quantize(Decimal(1).scaleb(-_DECIMALS))
    return value
