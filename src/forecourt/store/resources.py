"""Reservations, local lists, jobs, files, certificates and security events in SQL. See `csms.resource_ports`."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, Table, delete, func, insert, update

from forecourt.csms import resource_records as records
from forecourt.csms.contract_records import ContractCertificate
from forecourt.store import resource_tables as tables
from forecourt.store.rows import Shape, inserted
from forecourt.store.sequences import next_number

R = TypeVar("R", bound=msgspec.Struct)


class SqlShelf(Generic[R]):
    """See `csms.resource_ports.Shelf`."""

    def __init__(self, connection: Connection, shape: Shape[R]) -> None:
        self._connection = connection
        self._shape = shape
        self._table: Table = shape.table

    def add(self, now: datetime, **columns: Any) -> R:
        """Enter a new one."""
        record = self._shape.made(number=0, created_at=now, updated_at=now, **columns)
        values = self._shape.values(record)
        del values["number"]
        return msgspec.structs.replace(record, number=inserted(self._connection, insert(self._table), values))

    def get(self, organisation_id: int, number: int) -> R | None:
        """By its number, in this organisation."""
        column = self._table.c
        query = self._shape.select().where(column.organisation_id == organisation_id, column.number == number)
        return self._shape.one(self._connection, query, {})

    def change(self, number: int, now: datetime, **columns: Any) -> None:
        """Set columns."""
        query = update(self._table).where(self._table.c.number == number)
        self._connection.execute(query, {"updated_at": now, **columns})

    def remove(self, number: int) -> None:
        """Take it out."""
        self._connection.execute(delete(self._table).where(self._table.c.number == number))

    def find(
        self,
        where: Mapping[str, Any],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        due: Mapping[str, datetime] = MappingProxyType({}),
        before: int | None = None,
        limit: int = 1000,
    ) -> list[R]:
        """Newest first."""
        column = self._table.c
        query = self._shape.select()
        for name, value in where.items():
            if name.endswith("_key"):
                query = query.where(func.lower(column[name.removesuffix("_key")]) == value)
            elif isinstance(value, tuple | list | frozenset):
                query = query.where(column[name].in_(tuple(value)))
            elif value is None:
                query = query.where(column[name].is_(None))
            else:
                query = query.where(column[name] == value)
        if since is not None:
            query = query.where(column.created_at >= since)
        if until is not None:
            query = query.where(column.created_at < until)
        for name, at in due.items():
            query = query.where(column[name] <= at)
        if before is not None:
            query = query.where(column.number < before)
        return self._shape.all(self._connection, query.order_by(column.number.desc()).limit(limit))

    def forget(self, before: datetime) -> int:
        """What is older."""
        return self._connection.execute(delete(self._table).where(self._table.c.created_at < before)).rowcount


_RESERVATION: Final = Shape(records.Reservation, tables.reservations)
_LIST: Final = Shape(records.LocalList, tables.local_lists)
_LIST_VERSION: Final = Shape(records.LocalListVersion, tables.local_list_versions)
_FILE: Final = Shape(records.StoredFile, tables.stored_files)
_LINK: Final = Shape(records.FileLink, tables.file_links)
_FIRMWARE_JOB: Final = Shape(records.FirmwareJob, tables.firmware_jobs)
_LOG_JOB: Final = Shape(records.LogJob, tables.log_jobs)
_CERTIFICATE: Final = Shape(records.Certificate, tables.certificates)
_INSTALLED: Final = Shape(records.StationCertificate, tables.installed_certificates)
_CONTRACT: Final = Shape(ContractCertificate, tables.contract_certificates)
_SECURITY_EVENT: Final = Shape(records.SecurityEvent, tables.security_events)


class SqlResourceBooks:
    """See `csms.resource_ports.ResourceBooks`. A shelf is made when it is asked for: most units need none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def reservations(self) -> SqlShelf[records.Reservation]:
        """Of reservations."""
        return SqlShelf(self._connection, _RESERVATION)

    @cached_property
    def lists(self) -> SqlShelf[records.LocalList]:
        """Of local lists."""
        return SqlShelf(self._connection, _LIST)

    @cached_property
    def list_versions(self) -> SqlShelf[records.LocalListVersion]:
        """Of what local lists were to be."""
        return SqlShelf(self._connection, _LIST_VERSION)

    @cached_property
    def files(self) -> SqlShelf[records.StoredFile]:
        """Of files."""
        return SqlShelf(self._connection, _FILE)

    @cached_property
    def links(self) -> SqlShelf[records.FileLink]:
        """Of addresses of files."""
        return SqlShelf(self._connection, _LINK)

    @cached_property
    def firmware_jobs(self) -> SqlShelf[records.FirmwareJob]:
        """Of updates."""
        return SqlShelf(self._connection, _FIRMWARE_JOB)

    @cached_property
    def log_jobs(self) -> SqlShelf[records.LogJob]:
        """Of uploads."""
        return SqlShelf(self._connection, _LOG_JOB)

    @cached_property
    def certificates(self) -> SqlShelf[records.Certificate]:
        """Of certificates for stations."""
        return SqlShelf(self._connection, _CERTIFICATE)

    @cached_property
    def installed(self) -> SqlShelf[records.StationCertificate]:
        """Of certificates on stations."""
        return SqlShelf(self._connection, _INSTALLED)

    @cached_property
    def contract_certificates(self) -> SqlShelf[ContractCertificate]:
        """Of certificates that cars have shown."""
        return SqlShelf(self._connection, _CONTRACT)

    @cached_property
    def security_events(self) -> SqlShelf[records.SecurityEvent]:
        """Of security events."""
        return SqlShelf(self._connection, _SECURITY_EVENT)

    def next_reservation_id(self) -> int:
        """Never given before."""
        return next_number(self._connection, "reservation_id")
