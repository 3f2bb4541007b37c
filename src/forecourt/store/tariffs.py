"""Tariffs in SQL. See `csms.money_ports.TariffBooks`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from forecourt.csms.money_records import Tariff, TariffAssignment, TariffScope
from forecourt.csms.tariff_terms import TariffTerms
from forecourt.store.money_tables import tariff_assignments, tariffs
from forecourt.store.rows import Shape, inserted
from forecourt.store.sequences import next_number

_TARIFF: Final = Shape(Tariff, tariffs)
_ASSIGNMENT: Final = Shape(TariffAssignment, tariff_assignments)
_NEWEST: Final = tariffs.c.version.desc()


class SqlTariffBooks:
    """See `csms.money_ports.TariffBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_version(
        self, organisation_id: int, tariff_id: int | None, version: int, terms: TariffTerms, now: datetime
    ) -> Tariff:
        """Enter a version."""
        values: dict[str, Any] = {
            "organisation_id": organisation_id,
            "id": next_number(self._connection, "tariff_id") if tariff_id is None else tariff_id,
            "version": version,
            "terms": terms,
            "created_at": now,
        }
        return Tariff(number=inserted(self._connection, insert(tariffs), values), **values)

    def latest(self, organisation_id: int, tariff_id: int) -> Tariff | None:
        """The last version."""
        query = self._of(organisation_id, tariff_id).order_by(_NEWEST).limit(1)
        return _TARIFF.one(self._connection, query, {})

    def by_number(self, number: int) -> Tariff | None:
        """A version."""
        return _TARIFF.one(self._connection, _TARIFF.select().where(tariffs.c.number == number), {})

    def in_force(self, organisation_id: int, tariff_id: int, at: datetime) -> Tariff | None:
        """The latest at that moment; the first where none was there yet."""
        own = self._of(organisation_id, tariff_id)
        then = own.where(tariffs.c.created_at <= at).order_by(_NEWEST).limit(1)
        first = own.order_by(tariffs.c.version).limit(1)
        return _TARIFF.one(self._connection, then, {}) or _TARIFF.one(self._connection, first, {})

    def versions(self, organisation_id: int, tariff_id: int) -> list[Tariff]:
        """Newest first."""
        return _TARIFF.all(self._connection, self._of(organisation_id, tariff_id).order_by(_NEWEST))

    def page(self, organisation_id: int, *, before: int | None, limit: int) -> list[Tariff]:
        """The newest tariff first."""
        newest = select(func.max(tariffs.c.number)).group_by(tariffs.c.id)
        query = _TARIFF.select().where(
            tariffs.c.organisation_id == organisation_id, tariffs.c.retired_at.is_(None), tariffs.c.number.in_(newest)
        )
        if before is not None:
            query = query.where(tariffs.c.id < before)
        return _TARIFF.all(self._connection, query.order_by(tariffs.c.id.desc()).limit(limit))

    def retire(self, organisation_id: int, tariff_id: int, now: datetime) -> None:
        """All of its versions."""
        query = update(tariffs).where(tariffs.c.organisation_id == organisation_id, tariffs.c.id == tariff_id)
        self._connection.execute(query, {"retired_at": now})

    def assign(
        self,
        organisation_id: int,
        tariff_id: int,
        scope: TariffScope,
        target: str,
        *,
        ad_hoc: bool,
        now: datetime,
    ) -> TariffAssignment:
        """Instead of what was assigned there before."""
        column = tariff_assignments.c
        self._connection.execute(
            delete(tariff_assignments).where(
                column.organisation_id == organisation_id,
                column.scope == scope,
                column.target_key == _key(scope, target),
                column.ad_hoc == ad_hoc,
            )
        )
        values: dict[str, Any] = {
            "organisation_id": organisation_id,
            "tariff_id": tariff_id,
            "scope": scope,
            "target": target,
            "ad_hoc": ad_hoc,
            "created_at": now,
        }
        row = {**values, "target_key": _key(scope, target)}
        return TariffAssignment(number=inserted(self._connection, insert(tariff_assignments), row), **values)

    def unassign(self, organisation_id: int, tariff_id: int, number: int) -> bool:
        """Whether there was one."""
        column = tariff_assignments.c
        query = delete(tariff_assignments).where(
            column.organisation_id == organisation_id, column.tariff_id == tariff_id, column.number == number
        )
        return self._connection.execute(query).rowcount > 0

    def assignments(self, organisation_id: int, tariff_id: int) -> list[TariffAssignment]:
        """Newest first."""
        column = tariff_assignments.c
        query = _ASSIGNMENT.select().where(column.organisation_id == organisation_id, column.tariff_id == tariff_id)
        return _ASSIGNMENT.all(self._connection, query.order_by(column.number.desc()))

    def assigned_to(self, organisation_id: int, targets: Sequence[tuple[TariffScope, str]]) -> list[TariffAssignment]:
        """To any of them."""
        column = tariff_assignments.c
        any_of = or_(
            *(and_(column.scope == scope, column.target_key == _key(scope, target)) for scope, target in targets)
        )
        query = _ASSIGNMENT.select().where(column.organisation_id == organisation_id, any_of)
        return _ASSIGNMENT.all(self._connection, query.order_by(column.number))

    @staticmethod
    def _of(organisation_id: int, tariff_id: int) -> Any:
        return _TARIFF.select().where(tariffs.c.organisation_id == organisation_id, tariffs.c.id == tariff_id)


def _key(scope: TariffScope, target: str) -> str:
    """Tokens are compared without regard to case."""
    return target.casefold() if scope is TariffScope.TOKEN else target
