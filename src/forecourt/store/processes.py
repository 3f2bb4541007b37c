"""The processes that are one CSMS, in SQL. See `csms.book_ports.ProcessBooks`."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Integer, Table, Text, UniqueConstraint, delete, insert, update

from forecourt.csms.records import ProcessRecord
from forecourt.store.rows import Shape
from forecourt.store.tables import metadata
from forecourt.store.types import Instant

processes: Final = Table(
    "processes",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("beats", BigInteger, nullable=False),
    Column("entered_at", Instant, nullable=False),
    UniqueConstraint("id"),
    sqlite_autoincrement=True,
)

_PROCESS: Final = Shape(ProcessRecord, processes)


class SqlProcessBooks:
    """See `csms.book_ports.ProcessBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enter(self, process_id: str, name: str, at: datetime) -> None:
        """One more."""
        values = {"id": process_id, "name": name, "beats": 0, "entered_at": at}
        self._connection.execute(insert(processes), values)

    def beat(self, process_id: str) -> bool:
        """Whether it is there."""
        query = update(processes).where(processes.c.id == process_id).values(beats=processes.c.beats + 1)
        return self._connection.execute(query).rowcount > 0

    def every(self) -> list[ProcessRecord]:
        """In the order in which they entered."""
        return _PROCESS.all(self._connection, _PROCESS.select().order_by(processes.c.number))

    def remove(self, process_id: str) -> None:
        """It is no more."""
        self._connection.execute(delete(processes).where(processes.c.id == process_id))
