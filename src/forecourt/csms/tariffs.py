"""Tariffs: entered, changed, assigned, and found for a session that begins.

Guarantees
* A version never changes; a change is a new version, and sessions stay under the one that was in force when they began.
* Of what is assigned, the narrowest counts: the token's before the station's, the location's, the organisation's. For
  who pays on the spot a tariff of type AD_HOC_PAYMENT counts before a regular one of the same place.
* A tariff that is assigned somewhere can't be retired.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.money_records import Tariff, TariffAssignment, TariffScope
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page
from forecourt.csms.tariff_terms import TariffTerms, TariffType, check_terms

_NARROWEST_FIRST: Final = (TariffScope.TOKEN, TariffScope.STATION, TariffScope.LOCATION, TariffScope.ORGANISATION)


async def create_tariff(context: Context, terms: TariffTerms) -> Tariff:
    """Enter a tariff. Raises Invalid."""
    check_terms(terms)
    now = context.clock.now().at
    return await context.store.write(
        lambda books: books.money.tariffs.add_version(context.organisation_id, None, 1, terms, now)
    )


async def replace_tariff(context: Context, tariff_id: int, terms: TariffTerms) -> Tariff:
    """Enter a new version; the same terms again are no new one.

    Raises:
        NotFound, Invalid, or Conflict when it is retired, or its type is another while it is assigned.
    """
    check_terms(terms)
    now = context.clock.now().at

    def store(books: Books) -> Tariff:
        known = _find(books, context, tariff_id)
        if known.retired_at is not None:
            raise Conflict(f"tariff {tariff_id} is retired")
        if known.terms == terms:
            return known
        if known.terms.type is not terms.type and books.money.tariffs.assignments(context.organisation_id, tariff_id):
            raise Conflict(f"tariff {tariff_id} is assigned as one of type {known.terms.type}")
        return books.money.tariffs.add_version(context.organisation_id, tariff_id, known.version + 1, terms, now)

    return await context.store.write(store)


async def get_tariff(context: Context, tariff_id: int) -> Tariff:
    """The latest version, of a retired one too. Raises NotFound."""
    return await context.store.read(lambda books: _find(books, context, tariff_id))


async def list_tariffs(context: Context, *, cursor: str | None = None, limit: int = 50) -> Page[Tariff]:
    """Those that aren't retired, newest first. Raises Invalid for the cursor."""
    before = page_start(cursor)
    found = await context.store.read(
        lambda books: books.money.tariffs.page(context.organisation_id, before=before, limit=limit + 1)
    )
    return page_of(found, limit, lambda tariff: str(tariff.id))


async def list_versions(context: Context, tariff_id: int) -> tuple[Tariff, ...]:
    """Newest first. Raises NotFound."""
    found = await context.store.read(lambda books: books.money.tariffs.versions(context.organisation_id, tariff_id))
    if not found:
        raise NotFound("tariff", tariff_id)
    return tuple(found)


async def retire_tariff(context: Context, tariff_id: int) -> None:
    """Take it out of the list; what was billed by it stays. Raises NotFound, Conflict while it is assigned."""
    now = context.clock.now().at

    def store(books: Books) -> None:
        _find(books, context, tariff_id)
        if books.money.tariffs.assignments(context.organisation_id, tariff_id):
            raise Conflict(f"tariff {tariff_id} is assigned; take its assignments away first")
        books.money.tariffs.retire(context.organisation_id, tariff_id, now)

    await context.store.write(store)


async def assign_tariff(context: Context, tariff_id: int, scope: TariffScope, target: str = "") -> TariffAssignment:
    """From now on this is what begins there pays, instead of what was assigned there before.

    Args:
        target: The token's value, the station's identity, the location's id; nothing for the organisation.

    Raises:
        NotFound: the tariff.
        Conflict: it is retired.
        Invalid: there is no such target.
    """
    now = context.clock.now().at

    def store(books: Books) -> TariffAssignment:
        tariff = _find(books, context, tariff_id)
        if tariff.retired_at is not None:
            raise Conflict(f"tariff {tariff_id} is retired")
        _check_target(books, context, scope, target)
        ad_hoc = tariff.terms.type is TariffType.AD_HOC_PAYMENT
        return books.money.tariffs.assign(context.organisation_id, tariff_id, scope, target, ad_hoc=ad_hoc, now=now)

    return await context.store.write(store)


async def list_assignments(context: Context, tariff_id: int) -> tuple[TariffAssignment, ...]:
    """Newest first. Raises NotFound."""

    def query(books: Books) -> Sequence[TariffAssignment]:
        _find(books, context, tariff_id)
        return books.money.tariffs.assignments(context.organisation_id, tariff_id)

    return tuple(await context.store.read(query))


async def remove_assignment(context: Context, tariff_id: int, number: int) -> None:
    """Raises NotFound."""
    removed = await context.store.write(
        lambda books: books.money.tariffs.unassign(context.organisation_id, tariff_id, number)
    )
    if not removed:
        raise NotFound("assignment", number)


def tariff_for(
    books: Books,
    organisation_id: int,
    *,
    id_token: str | None,
    station_id: str,
    location_id: int | None,
    ad_hoc: bool,
    at: datetime,
) -> Tariff | None:
    """What a session that begins at `at` is under; None: nothing is assigned to it that is valid then."""
    targets = [(TariffScope.STATION, station_id), (TariffScope.ORGANISATION, "")]
    if id_token is not None:
        targets.append((TariffScope.TOKEN, id_token))
    if location_id is not None:
        targets.append((TariffScope.LOCATION, str(location_id)))
    found = [entry for entry in books.money.tariffs.assigned_to(organisation_id, targets) if ad_hoc or not entry.ad_hoc]
    found.sort(key=lambda entry: (_NARROWEST_FIRST.index(entry.scope), not entry.ad_hoc))
    for entry in found:
        tariff = books.money.tariffs.in_force(organisation_id, entry.tariff_id, at)
        if tariff is not None and _valid(tariff.terms, at):
            return tariff
    return None


def _valid(terms: TariffTerms, at: datetime) -> bool:
    begin, end = terms.start_date_time, terms.end_date_time
    return (begin is None or at >= begin) and (end is None or at < end)


def _find(books: Books, context: Context, tariff_id: int) -> Tariff:
    found = books.money.tariffs.latest(context.organisation_id, tariff_id)
    if found is None:
        raise NotFound("tariff", tariff_id)
    return found


def _check_target(books: Books, context: Context, scope: TariffScope, target: str) -> None:
    organisation_id = context.organisation_id
    if scope is TariffScope.ORGANISATION:
        if target:
            raise Invalid("target", "must be left out: there is one organisation")
        return
    if scope is TariffScope.STATION:
        there = books.stations.get(organisation_id, target) is not None
    elif scope is TariffScope.TOKEN:
        there = books.tokens.get(organisation_id, target) is not None
    else:
        number = int(target) if target.isascii() and target.isdigit() and len(target) < 19 else 0
        there = str(number) == target and books.stations.location(organisation_id, number) is not None
    if not there:
        raise Invalid("target", f"is no {scope}")
