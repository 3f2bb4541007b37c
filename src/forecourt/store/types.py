"""Column types: instants, words, JSON; the same meaning on every database.

Guarantees
* An instant is kept to the microsecond and comes back in UTC: a number of microseconds since 1970 in SQLite, a
  `timestamptz` in PostgreSQL. A datetime without a time zone is refused.
* An amount is kept as text: no database rounds it.
* JSON columns hold msgspec's compact form of one type, and come back as that type.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ENCODER: Final = msgspec.json.Encoder()


def to_microseconds(at: datetime) -> int:
    """Whole microseconds since 1970. ValueError without a time zone."""
    if at.tzinfo is None:
        raise ValueError("a datetime without a time zone")
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The instant, in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def bind_column(kind: Any, dialect: Dialect) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """What makes a column of values the driver's, by the types of this module or any other; None: they are as they are.

    The same as binding them one by one, for whoever has thousands.
    """
    if isinstance(kind, Instant):
        return None if dialect.name == "postgresql" else _all_to_microseconds
    if isinstance(kind, Word):
        return _all_to_text
    bind = kind.dialect_impl(dialect).bind_processor(dialect)
    return None if bind is None else lambda values: [bind(value) for value in values]


def _all_to_microseconds(values: Sequence[datetime | None]) -> Sequence[int | None]:
    if None in values:
        return [None if value is None else to_microseconds(value) for value in values]
    try:
        return [(value - _EPOCH) // _MICROSECOND for value in values]  # type: ignore[operator]
    except TypeError:
        raise ValueError("a datetime without a time zone") from None


def _all_to_text(values: Sequence[StrEnum | None]) -> Sequence[str | None]:
    return [None if value is None else str.__str__(value) for value in values]


class Instant(TypeDecorator[datetime]):
    """A point in time."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A `timestamptz` where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To the database."""
        if value is None:
            return None
        microseconds = to_microseconds(value)
        return value if dialect.name == "postgresql" else microseconds

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else from_microseconds(value)


class Money(TypeDecorator[Decimal]):
    """An amount, kept as its text, so that it comes back with the decimals it had."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else Decimal(value)


class Word(TypeDecorator[StrEnum]):
    """A member of an enumeration, kept as its text."""

    impl = Text
    cache_ok = True

    def __init__(self, enumeration: type[StrEnum]) -> None:
        super().__init__()
        self.enumeration = enumeration

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else self.enumeration(value)


class Json(TypeDecorator[Any]):
    """A value of one type, as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else _ENCODER.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """From the database."""
        return None if value is None else self._decoder.decode(value)
