"""What a pure core asks of its journal: changes to sections of keys and values, and what one holds.

Guarantees
* Values are bytes that only their owner can read; sections and keys are text.
* A journal carries out the changes of one commit as one: all of them or none, on the disk when `commit` returns.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec


class Put(msgspec.Struct, frozen=True):
    """Keep `value` under `key`, in place of what was there."""

    section: str
    key: str
    value: bytes


class Delete(msgspec.Struct, frozen=True):
    """Forget what is under `key`; nothing there is no error."""

    section: str
    key: str


class Clear(msgspec.Struct, frozen=True):
    """Forget a whole section."""

    section: str


Change = Put | Delete | Clear

JournalState = Mapping[str, Mapping[str, bytes]]
"""What a journal holds: sections of keys and values, keys in ascending order."""


class Journal(Protocol):
    """Where a core's memory survives a power cut."""

    def load(self) -> JournalState:
        """Everything it holds."""
        ...

    def commit(self, changes: Iterable[Change]) -> None:
        """Carry out `changes`, all or none.

        Raises:
            OSError: they can't be kept; none of them was.
        """
        ...
