"""Operations on tokens and transactions."""

from datetime import datetime
from typing import Any

from forecourt.client.operations import Listing, Operation, change, get, given, listing
from forecourt.client.types import Import, Token, Transaction
from forecourt.csms.records import TransactionState


def list_tokens(*, group: str | None = None, limit: int = 200) -> Listing[Token]:
    """Tokens, newest first."""
    return listing(Token, "tokens", group=group, limit=limit)


def get_token(value: str) -> Operation[Token]:
    """A token."""
    return get(Token, "tokens", value)


def put_token(
    value: str,
    *,
    standing: Any = ...,
    expires_at: Any = ...,
    group: Any = ...,
    note: Any = ...,
    type: Any = ...,  # noqa: A002 - as the API calls it
    charging_priority: Any = ...,
) -> Operation[Token]:
    """Enter a token, or replace it."""
    body = given(
        standing=standing, expires_at=expires_at, group=group, note=note, type=type, charging_priority=charging_priority
    )
    return change("PUT", Token, "tokens", value, body=body)


def remove_token(value: str) -> Operation[None]:
    """Take a token out."""
    return change("DELETE", type(None), "tokens", value)


def import_tokens(csv: str, *, dry_run: bool = False) -> Operation[Import]:
    """Enter tokens from a list, replacing those that are there; Invalid names each line that can't be."""
    return change("POST", Import, "imports", "tokens", body={"csv": csv, "dry_run": dry_run})


def list_transactions(
    *,
    station_id: str | None = None,
    id_token: str | None = None,
    state: TransactionState | None = None,
    started_from: datetime | None = None,
    started_to: datetime | None = None,
    limit: int = 200,
) -> Listing[Transaction]:
    """Transactions, newest first."""
    return listing(
        Transaction,
        "transactions",
        station_id=station_id,
        id_token=id_token,
        state=state,
        started_from=started_from,
        started_to=started_to,
        limit=limit,
    )


def get_transaction(number: int) -> Operation[Transaction]:
    """A transaction."""
    return get(Transaction, "transactions", number)
