"""Local lists: whatever a station has and whatever is wished, the messages bring it there."""

from hypothesis import given
from hypothesis import strategies as st

from forecourt.csms.local_list_messages import differences, messages
from forecourt.domain.requests import ListUpdate, LocalListEntry
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo

ENTRIES = st.lists(
    st.builds(
        lambda value, status: LocalListEntry(IdToken(value), IdTokenInfo(status=status)),
        st.sampled_from("ABCDEFGH"),
        st.sampled_from([AuthorizationStatus.ACCEPTED, AuthorizationStatus.BLOCKED]),
    ),
    unique_by=lambda entry: entry.id_token.key,
    max_size=8,
).map(tuple)
Tags = dict[str, IdTokenInfo]


def tags(entries: tuple[LocalListEntry, ...]) -> Tags:
    return {entry.id_token.key: entry.id_token_info for entry in entries if entry.id_token_info is not None}


def applied(known: Tags, entries: tuple[LocalListEntry, ...]) -> Tags:
    """What a station makes of a differential update (OCPP 1.6 §5.15)."""
    after = dict(known)
    for entry in entries:
        if entry.id_token_info is None:
            del after[entry.id_token.key]
        else:
            after[entry.id_token.key] = entry.id_token_info
    return after


@given(base=st.none() | ENTRIES, wished=ENTRIES, most=st.none() | st.integers(1, 3), version=st.integers(1, 100))
def test_the_messages_bring_a_station_to_what_is_wished(
    base: tuple[LocalListEntry, ...] | None,
    wished: tuple[LocalListEntry, ...],
    most: int | None,
    version: int,
) -> None:
    sent = messages(version, base, wished, most)
    known = {"stray": IdTokenInfo(status=AuthorizationStatus.ACCEPTED)} if base is None else tags(base)
    for number, message in enumerate(sent):
        assert message.fault is None
        assert message.version == version + number
        assert most is None or len(message.entries) <= most
        if message.update is ListUpdate.FULL:
            assert number == 0
            known = tags(message.entries)
        else:
            known = applied(known, message.entries)
    assert known == tags(wished)
    full = -(-len(wished) // most) if most else 1
    assert len(sent) <= max(1, full), "differences are sent where they are fewer only"


@given(base=ENTRIES, wished=ENTRIES)
def test_differences_say_nothing_that_is_so_already(
    base: tuple[LocalListEntry, ...], wished: tuple[LocalListEntry, ...]
) -> None:
    changes = differences(base, wished)
    assert applied(tags(base), changes) == tags(wished)
    assert all(tags(base).get(entry.id_token.key) != entry.id_token_info for entry in changes)
