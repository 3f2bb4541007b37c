"""The books of people on one connection. See `csms.people_ports.PeopleBooks`."""

from typing import Any, Final

from sqlalchemy import Connection, Table, select, update

from forecourt.csms.command_records import Command
from forecourt.store.batches import SqlBatchBooks, SqlRotationBooks
from forecourt.store.outbox import SqlWebhookBooks
from forecourt.store.tables import commands, messages
from forecourt.store.users import SqlAuditBooks, SqlUserBooks

_STARS: Final = b"********"


class SqlPeopleBooks:
    """See `csms.people_ports.PeopleBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.users = SqlUserBooks(connection)
        self.audit = SqlAuditBooks(connection)
        self.webhooks = SqlWebhookBooks(connection)
        self.batches = SqlBatchBooks(connection)
        self.rotations = SqlRotationBooks(connection)

    def mask(self, command: Command, secret: str) -> None:
        """Put asterisks for a secret wherever the command and its frames are kept."""
        self._mask(commands, commands.c.id == command.id, ("request", "payload"), secret.encode())
        if command.message_id is not None:
            here = (messages.c.station_number == command.station_number) & (messages.c.message_id == command.message_id)
            self._mask(messages, here, ("frame",), secret.encode())

    def _mask(self, table: Table, here: Any, names: tuple[str, ...], secret: bytes) -> None:
        key = next(iter(table.primary_key))
        for row in self._connection.execute(select(key, *(table.c[name] for name in names)).where(here)):
            changed = {
                name: value.replace(secret, _STARS)
                for name, value in zip(names, row[1:], strict=True)
                if value is not None and secret in value
            }
            if changed:
                self._connection.execute(update(table).where(key == row[0]).values(**changed))
