"""What the CSMS needs to keep load groups, drivers' wishes, and profiles that are stored and assigned.

Guarantees asked of whoever implements them: those of `resource_ports.Shelf`.
"""

from typing import Protocol

from forecourt.csms.group_records import (
    GroupEvse,
    LoadGroup,
    ProfileAssignment,
    StoredProfile,
    TokenWish,
    TransactionWish,
)
from forecourt.csms.resource_ports import Shelf


class GroupBooks(Protocol):
    """One shelf for each kind."""

    @property
    def load_groups(self) -> Shelf[LoadGroup]: ...
    @property
    def evses(self) -> Shelf[GroupEvse]: ...
    @property
    def transaction_wishes(self) -> Shelf[TransactionWish]: ...
    @property
    def token_wishes(self) -> Shelf[TokenWish]: ...
    @property
    def stored_profiles(self) -> Shelf[StoredProfile]: ...
    @property
    def assignments(self) -> Shelf[ProfileAssignment]: ...
