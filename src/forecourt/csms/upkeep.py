"""What has to be done from time to time: forgetting what is too old, ending what nobody ends.

Guarantees
* `start` runs once before the first station is let in: connections and commands of a process that is gone are ended.
* Nothing is forgotten before its retention is over; transactions never are.
"""

from datetime import timedelta
from typing import Final

from forecourt.csms import (
    certificates,
    commands,
    contract_books,
    local_lists,
    provisioning,
    reservations,
    sites,
)
from forecourt.csms.billing import Biller
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.jobs import FIRMWARE, LOGS
from forecourt.csms.payments import Cashier
from forecourt.csms.ports import Books, Context

_OVER: Final = timedelta(days=1)
"""Addresses of files that have been over for so long are forgotten."""


async def start(context: Context) -> None:
    """Bring the books in order after whatever ended the last process."""
    await commands.recover(context)
    await provisioning.recover_connections(context)
    await sites.recover(context)


async def forget(context: Context) -> int:
    """Forget what is older than its retention; gives how much that was. Call it every now and then."""
    settings = context.settings
    at = context.clock.now().at

    def store(books: Books) -> int:
        count = books.events.forget(at - timedelta(seconds=settings.event_retention_s))
        count += books.log.forget_messages(at - timedelta(seconds=settings.message_retention_s))
        # Sessions that wait for an operator are reckoned from them too.
        count += books.money.billing.forget_states(at - timedelta(seconds=2 * settings.money.longest_session_s))
        kept_s = settings.resources.security_event_retention_s
        count += books.resources.security_events.forget(at - timedelta(seconds=kept_s))
        count += sites.forget(books, context, at)
        for link in books.resources.links.find({}, due={"expires_at": at - _OVER}):
            books.resources.links.remove(link.number)
        if settings.meter_retention_s is not None:
            count += books.transactions.forget_readings(at - timedelta(seconds=settings.meter_retention_s))
        return count

    return await context.store.write(store)


async def keep_resources(context: Context) -> int:
    """See that reservations, jobs, lists and certificates move on; gives how many were looked after."""
    count = await reservations.expire(context)
    count += await FIRMWARE.keep(context)
    count += await LOGS.keep(context)
    count += await certificates.keep(context)
    count += await contract_books.keep(context)
    return count + await local_lists.keep(context)


class Sweeper:
    """Ends commands that nobody ends: whoever asked, or held the socket, was stopped in the middle.

    Whoever holds a socket ends its commands at their deadline; one found open `sweep_interval_s` later is nobody's.
    Deadlines run on the protocol's clock, so the time counts from when the sweeper first saw the command.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[str, float] = {}

    async def turn(self) -> int:
        """Look once; gives how many were ended."""
        context = self._context
        now_s = context.clock.now().protocol_s
        unfinished = await context.store.read(lambda books: books.commands.unfinished())
        self._seen = {command.id: self._seen.get(command.id, now_s) for command in unfinished}
        overdue = [command for command in unfinished if self._overdue(command, now_s)]
        for command in overdue:
            detail = "nobody brought it to an end"
            if command.state is not CommandState.SENT:
                # Its holder may have sent it and be parted from the books since: only the holder can say `expired`.
                detail += ", and nobody knows whether it was sent"
            await commands.ended(context, command, CommandState.TIMEOUT, detail)
        return len(overdue)

    def _overdue(self, command: Command, now_s: float) -> bool:
        return now_s - self._seen[command.id] > command.timeout_s + self._context.settings.sweep_interval_s


class Accounts:
    """Keeps the money in order: bills what is over, and sees that payments move on."""

    def __init__(self, context: Context) -> None:
        self._biller = Biller(context)
        self._cashier = Cashier(context)

    async def turn(self) -> int:
        """Look once; gives how many sessions and payments were looked at."""
        return await self._biller.turn() + await self._cashier.turn()
