"""Tokens, and the verdict on them (OCPP 1.6 §4.1, OCPP 2.0.1 chapter C).

Guarantees
* A verdict depends on the token as entered, its expiry, the policy for unknown ones, and (where it is about a start, if
  the settings ask for it) on the token's other transactions: ConcurrentTx.
* Tokens are compared without regard to case. Any expiry can be entered, past ones included.
"""

from datetime import datetime

import msgspec

from forecourt.csms import published
from forecourt.csms.errors import Invalid, NotFound
from forecourt.csms.local_list_books import tokens_changed
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page, Token
from forecourt.csms.settings import UnknownTokenPolicy
from forecourt.csms.work import Work
from forecourt.domain.requests import Authorize, AuthorizeAnswer
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType

LONGEST_VALUE = 255


def authorize(work: Work, request: Authorize) -> AuthorizeAnswer:
    """A station asks before it starts anything."""
    info = decide(work, request.id_token, starting=True)
    announce(work, request.id_token, info, None)
    return AuthorizeAnswer(id_token_info=info)


def decide(work: Work, id_token: IdToken, *, starting: bool, transaction_number: int | None = None) -> IdTokenInfo:
    """The verdict. `transaction_number` is the transaction it is about, which doesn't count as another one."""
    if id_token.type is IdTokenType.NO_AUTHORIZATION:
        return IdTokenInfo(status=AuthorizationStatus.ACCEPTED)
    token = work.books.tokens.get(work.station.organisation_id, id_token.value)
    if token is None:
        if work.settings.unknown_tokens is not UnknownTokenPolicy.ACCEPT:
            return IdTokenInfo(status=AuthorizationStatus.UNKNOWN)
        verdict, expires_at, group, priority = AuthorizationStatus.ACCEPTED, None, None, 0
    else:
        verdict, expires_at, group, priority = token.standing, token.expires_at, token.group, token.charging_priority
        if verdict is AuthorizationStatus.ACCEPTED and expires_at is not None and expires_at <= work.at:
            verdict = AuthorizationStatus.EXPIRED
    if verdict is AuthorizationStatus.ACCEPTED and starting and not work.settings.concurrent_transactions:
        others = work.books.transactions.active_of_token(work.station.organisation_id, id_token)
        accepted = (other for other in others if other.authorization is AuthorizationStatus.ACCEPTED)
        if any(other.number != transaction_number for other in accepted):
            verdict = AuthorizationStatus.CONCURRENT_TX
    return IdTokenInfo(
        status=verdict,
        expires_at=expires_at,
        group_id_token=None if group is None else IdToken(group, IdTokenType.CENTRAL),
        charging_priority=priority,
    )


def announce(work: Work, id_token: IdToken, info: IdTokenInfo, transaction_number: int | None) -> None:
    """Tell what was decided."""
    body = published.AuthorizationBody(
        id_token=id_token.value, authorization=info.status, transaction_number=transaction_number
    )
    work.tell(published.AUTHORIZATION_DECIDED, body)


# For the API


class TokenFields(msgspec.Struct, frozen=True, kw_only=True):
    """A token as somebody enters it."""

    type: IdTokenType = IdTokenType.ISO14443
    standing: AuthorizationStatus = AuthorizationStatus.ACCEPTED
    expires_at: datetime | None = None
    group: str | None = None
    charging_priority: int = 0
    note: str | None = None


async def put_token(context: Context, value: str, fields: TokenFields) -> Token:
    """Enter a token, or replace what is entered under that value. Raises Invalid, see `check_token`."""
    check_token(value, fields)
    now = context.clock.now().at
    columns = msgspec.structs.asdict(fields)

    def store(books: Books) -> Token:
        token = books.tokens.upsert(context.organisation_id, value, columns, now)
        tokens_changed(books, context.organisation_id, now)
        return token

    return await context.store.write(store)


def check_token(value: str, fields: TokenFields) -> None:
    """Raises Invalid: the value is empty or too long, the priority out of its range, or the expiry without a zone."""
    if not 0 < len(value) <= LONGEST_VALUE:
        raise Invalid("value", f"must have 1 to {LONGEST_VALUE} characters")
    if not -9 <= fields.charging_priority <= 9:
        raise Invalid("charging_priority", "must be from -9 to 9")
    if fields.expires_at is not None and fields.expires_at.tzinfo is None:
        raise Invalid("expires_at", "must have a time zone")


async def get_token(context: Context, value: str) -> Token:
    """Raises NotFound."""
    token = await context.store.read(lambda books: books.tokens.get(context.organisation_id, value))
    if token is None:
        raise NotFound("token", value)
    return token


async def list_tokens(
    context: Context,
    *,
    group: str | None = None,
    kind: IdTokenType | None = None,
    standing: AuthorizationStatus | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Token]:
    """Newest first. Raises Invalid for a cursor that is none."""
    before = page_start(cursor)
    found = await context.store.read(
        lambda books: books.tokens.page(
            context.organisation_id,
            group=group,
            kind=kind,
            standing=standing,
            created_from=created_from,
            created_to=created_to,
            before=before,
            limit=limit + 1,
        )
    )
    return page_of(found, limit, lambda token: str(token.id))


async def remove_token(context: Context, value: str) -> None:
    """Raises NotFound."""
    now = context.clock.now().at

    def store(books: Books) -> bool:
        tokens_changed(books, context.organisation_id, now)
        return books.tokens.remove(context.organisation_id, value)

    if not await context.store.write(store):
        raise NotFound("token", value)
