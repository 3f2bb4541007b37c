"""Entries of local lists as they are asked for and shown."""

from typing import Annotated

from msgspec import Meta

from forecourt.api.bodies import Asked, Instant
from forecourt.csms.local_lists import LARGEST_VERSION
from forecourt.domain.requests import LocalListEntry
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType

Version = Annotated[int, Meta(ge=1, le=LARGEST_VERSION)]
TokenValue = Annotated[str, Meta(min_length=1, max_length=255)]


class EntryBody(Asked, frozen=True, kw_only=True):
    """A token on a local list, and what the station shall make of it."""

    value: TokenValue
    type: IdTokenType = IdTokenType.ISO14443
    status: AuthorizationStatus | None = AuthorizationStatus.ACCEPTED
    expires_at: Instant | None = None
    group: TokenValue | None = None


def entries_of(bodies: tuple[EntryBody, ...]) -> tuple[LocalListEntry, ...]:
    """In the domain's terms."""
    return tuple(_entry(body) for body in bodies)


def _entry(body: EntryBody) -> LocalListEntry:
    token = IdToken(body.value, body.type)
    if body.status is None:
        return LocalListEntry(token)
    group = None if body.group is None else IdToken(body.group, IdTokenType.CENTRAL)
    return LocalListEntry(token, IdTokenInfo(status=body.status, expires_at=body.expires_at, group_id_token=group))


def bodies_of(entries: tuple[LocalListEntry, ...]) -> tuple[EntryBody, ...]:
    """As they are shown."""
    return tuple(_body(entry) for entry in entries)


def _body(entry: LocalListEntry) -> EntryBody:
    info = entry.id_token_info
    return EntryBody(
        value=entry.id_token.value,
        type=entry.id_token.type,
        status=None if info is None else info.status,
        expires_at=None if info is None else info.expires_at,
        group=None if info is None or info.group_id_token is None else info.group_id_token.value,
    )
