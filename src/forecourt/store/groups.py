"""Load groups, drivers' wishes and assigned profiles in SQL. See `csms.group_ports`."""

from functools import cached_property
from typing import Final

from sqlalchemy import Connection

from forecourt.csms import group_records as records
from forecourt.store import group_tables as tables
from forecourt.store.resources import SqlShelf
from forecourt.store.rows import Shape

_GROUP: Final = Shape(records.LoadGroup, tables.load_groups)
_EVSE: Final = Shape(records.GroupEvse, tables.group_evses)
_TRANSACTION_WISH: Final = Shape(records.TransactionWish, tables.transaction_wishes)
_TOKEN_WISH: Final = Shape(records.TokenWish, tables.token_wishes)
_STORED: Final = Shape(records.StoredProfile, tables.stored_profiles)
_ASSIGNMENT: Final = Shape(records.ProfileAssignment, tables.profile_assignments)


class SqlGroupBooks:
    """See `csms.group_ports.GroupBooks`. A shelf is made when it is asked for: most units need none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def load_groups(self) -> SqlShelf[records.LoadGroup]:
        """Of groups."""
        return SqlShelf(self._connection, _GROUP)

    @cached_property
    def evses(self) -> SqlShelf[records.GroupEvse]:
        """Of the profile ids of their EVSEs."""
        return SqlShelf(self._connection, _EVSE)

    @cached_property
    def transaction_wishes(self) -> SqlShelf[records.TransactionWish]:
        """Of what is wanted of a transaction."""
        return SqlShelf(self._connection, _TRANSACTION_WISH)

    @cached_property
    def token_wishes(self) -> SqlShelf[records.TokenWish]:
        """Of what a token wants."""
        return SqlShelf(self._connection, _TOKEN_WISH)

    @cached_property
    def stored_profiles(self) -> SqlShelf[records.StoredProfile]:
        """Of profiles under a name."""
        return SqlShelf(self._connection, _STORED)

    @cached_property
    def assignments(self) -> SqlShelf[records.ProfileAssignment]:
        """Of what EVSEs shall have."""
        return SqlShelf(self._connection, _ASSIGNMENT)
