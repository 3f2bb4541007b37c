"""Keeps the limits of load groups: decides when something happens and from time to time, and says it to the stations.

Guarantees
* Every start, stop and status, every connection made or lost, every answer to a profile, every change of a group leads
  to a decision at once; meter readings and the passing of time to one within `interval_s`.
* A group is kept by one process at a time: whoever keeps it says so in the books, and another takes over when it has
  been silent for `keeper_s`. The limits themselves are in the books (`group_facts`), so that nothing is lost with it.
* Nothing is sent with `unsolicited_calls` off.
* What changed is told (`load_group.updated`), and can be read from the group.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.allocation.realtime import Allocation
from forecourt.csms import commands, published
from forecourt.csms.command_records import CommandOrigin
from forecourt.csms.errors import CsmsError
from forecourt.csms.group_decision import decide
from forecourt.csms.group_exposure import EvseFacts
from forecourt.csms.group_facts import Place, facts_of, places
from forecourt.csms.group_records import GroupEvse, GroupStatus, LoadGroup
from forecourt.csms.load_groups import MOST_GROUPS, tell
from forecourt.csms.ports import Books, Context

log = logging.getLogger(__name__)

_WAKING: Final = frozenset(
    {
        published.LOAD_GROUP_UPDATED,
        published.STATION_CONNECTED,
        published.STATION_DISCONNECTED,
        published.STATION_BOOTED,
        published.CONNECTOR_STATUS,
        published.TRANSACTION_STARTED,
        published.TRANSACTION_UPDATED,
        published.TRANSACTION_ENDED,
        published.COMMAND_UPDATED,
    }
)
_DEBOUNCE_S: Final = 0.05
"""What happens together is decided together."""


class GroupKeeper:
    """Keeps all groups of all organisations. Call `turn` again and again; `stop` at the end."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._name = context.new_id()
        self._memories: dict[int, Allocation] = {}
        self._listening: asyncio.Task[None] | None = None
        self._happened = asyncio.Event()
        self._any = True

    async def turn(self) -> int:
        """Wait until something happens, at most `interval_s`; decide. Gives how many groups were looked at."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._context.settings.groups.interval_s):
                await self._happened.wait()
        await asyncio.sleep(_DEBOUNCE_S)
        self._happened.clear()
        return await self.decide_all()

    async def stop(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def decide_all(self) -> int:
        """Decide for every group, once."""
        if not self._context.settings.unsolicited_calls:
            return 0
        groups = await self._context.store.read(
            lambda books: books.groups.load_groups.find({"active": True}, limit=MOST_GROUPS)
        )
        self._any = bool(groups)
        numbers = {group.number for group in groups}
        roots = [group for group in groups if group.parent_number not in numbers]
        self._memories = {number: memory for number, memory in self._memories.items() if number in numbers}
        for root in reversed(roots):
            try:
                await self._keep(root, [group for group in groups if group.organisation_id == root.organisation_id])
            except CsmsError as error:
                log.warning("load group %d: %s", root.number, error)
        return len(groups)

    async def _listen(self) -> None:
        while True:
            # Where there is no group, nothing but a new one matters.
            types = _WAKING if self._any else frozenset({published.LOAD_GROUP_UPDATED})
            listens_to_all = self._any
            async with self._context.bus.subscribe(None, types=types) as events:
                async for _ in events:
                    self._happened.set()
                    if listens_to_all != self._any:
                        break
            await asyncio.sleep(_DEBOUNCE_S)

    async def _keep(self, root: LoadGroup, groups: Sequence[LoadGroup]) -> None:
        context = msgspec.structs.replace(self._context, organisation_id=root.organisation_id)
        now = context.clock.now()
        if not await self._claims(context, root, now.at):
            self._memories.pop(root.number, None)
            return
        tree = _tree(root, groups)
        facts = await context.store.read(lambda books: _facts(books, context, tree, groups, now.at))
        if facts is None:
            await context.store.write(lambda books: _enter(books, tree, groups, now.at))
            facts = await context.store.read(lambda books: _facts(books, context, tree, groups, now.at))
        settings = context.settings.groups
        memory = self._memories.get(root.number)
        decision = decide(tree, facts or (), now.at, now.elapsed_s, settings, memory)
        self._memories[root.number] = decision.allocation
        for say in decision.to_say:
            await commands.issue(context, say.key.station_id, say.request, origin=CommandOrigin.CSMS)
        changed = {
            group.number: decision.statuses[group.number]
            for group in tree
            if _differs(group.status, decision.statuses[group.number])
        }
        if changed:
            await context.store.write(lambda books: _store(books, tree, changed, now.at))

    async def _claims(self, context: Context, root: LoadGroup, at: datetime) -> bool:
        """Whether this process keeps the group now. Half of the time is left when it is said again."""
        keeps_s = context.settings.groups.keeper_s
        ours = root.keeper == self._name and root.keeper_until is not None
        if ours and root.keeper_until is not None and root.keeper_until > at + timedelta(seconds=keeps_s / 2):
            return True

        def claim(books: Books) -> bool:
            known = books.groups.load_groups.get(root.organisation_id, root.number)
            if known is None:
                return False
            if known.keeper != self._name and known.keeper_until is not None and known.keeper_until > at:
                return False
            until = at + timedelta(seconds=keeps_s)
            books.groups.load_groups.change(root.number, known.updated_at, keeper=self._name, keeper_until=until)
            return True

        return await context.store.write(claim)


def _tree(root: LoadGroup, groups: Sequence[LoadGroup]) -> tuple[LoadGroup, ...]:
    """The root first, each other after what it is part of."""
    found = [root]
    for group in found:
        found += sorted((one for one in groups if one.parent_number == group.number), key=lambda one: one.number)
    return tuple(found)


def _facts(
    books: Books, context: Context, tree: Sequence[LoadGroup], groups: Sequence[LoadGroup], at: datetime
) -> list[EvseFacts] | None:
    """Of all members of a tree; None: some have no profile ids yet."""
    numbers = {group.number for group in tree}
    found: list[EvseFacts] = []
    for place in places(books, context.organisation_id, groups):
        if place.group_number in numbers:
            ids = _ids(books, place)
            if ids is None:
                return None
            found.append(facts_of(books, place, ids, at, context.settings.groups))
    return found


def _enter(books: Books, tree: Sequence[LoadGroup], groups: Sequence[LoadGroup], at: datetime) -> None:
    """Give profile ids to members that have none yet."""
    numbers = {group.number for group in tree}
    organisation_id = tree[0].organisation_id
    for place in places(books, organisation_id, groups):
        if place.group_number in numbers and _ids(books, place) is None:
            books.groups.evses.add(
                at,
                organisation_id=organisation_id,
                station_number=place.station.number,
                station_id=place.station.id,
                evse_id=place.evse_id,
                base_profile_id=books.charging.next_profile_id(),
                transaction_profile_id=books.charging.next_profile_id(),
            )


def _ids(books: Books, place: Place) -> GroupEvse | None:
    known = books.groups.evses.find({"station_number": place.station.number, "evse_id": place.evse_id})
    return known[0] if known else None


def _differs(before: GroupStatus | None, after: GroupStatus) -> bool:
    """In more than when it was decided."""
    return before is None or msgspec.structs.replace(before, decided_at=after.decided_at) != after


def _store(books: Books, tree: Sequence[LoadGroup], statuses: dict[int, GroupStatus], at: datetime) -> None:
    for group in tree:
        status = statuses.get(group.number)
        if status is not None and books.groups.load_groups.get(group.organisation_id, group.number) is not None:
            books.groups.load_groups.change(group.number, group.updated_at, status=status)
            tell(books, msgspec.structs.replace(group, status=status), at)
