"""What is said to a station so that its list becomes what is wished (OCPP 1.6 §5.15, OCPP 2.0.1 D01).

Guarantees
* Differences are sent where they are fewer than the list; no message has more entries than the station takes
  (SendLocalListMaxLength, ItemsPerMessage). A list that takes several messages has one version for each, the last of
  which is its own.
"""

from collections.abc import Sequence

from forecourt.domain.requests import ListUpdate, LocalListEntry, SendLocalList

Entries = tuple[LocalListEntry, ...]


def messages(
    version: int, base: Sequence[LocalListEntry] | None, wished: Entries, most: int | None
) -> list[SendLocalList]:
    """What brings a station from `base` (None: who knows) to `wished`, in messages of at most `most` entries."""
    update, entries = ListUpdate.FULL, wished
    if base is not None:
        changes = differences(base, wished)
        if len(changes) < len(wished) or not changes:
            update, entries = ListUpdate.DIFFERENTIAL, changes
    size = most or max(1, len(entries))
    chunks = [entries[start : start + size] for start in range(0, len(entries), size)] or [()]
    first = SendLocalList(version=version, update=update, entries=chunks[0])
    return [first] + [
        SendLocalList(version=version + number, update=ListUpdate.DIFFERENTIAL, entries=chunk)
        for number, chunk in enumerate(chunks[1:], 1)
    ]


def differences(base: Sequence[LocalListEntry], wished: Sequence[LocalListEntry]) -> Entries:
    """The entries that make `wished` of `base`: those that are new or other, and those to take off."""
    before = {entry.id_token.key: entry for entry in base}
    after = {entry.id_token.key: entry for entry in wished}
    changed = [entry for key, entry in after.items() if before.get(key) != entry]
    gone = [LocalListEntry(entry.id_token) for key, entry in before.items() if key not in after]
    return (*changed, *gone)
