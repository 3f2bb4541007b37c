"""Forgetting what is too old of people's books: sign-ins that are over, audit, finished deliveries.

Guarantees
* Nothing is forgotten before its retention is over.
"""

from datetime import timedelta

from forecourt.csms import webhooks
from forecourt.csms.ports import Books, Context


async def forget(context: Context) -> int:
    """Gives how much that was. Call it every now and then."""
    settings = context.settings.people
    now = context.clock.now().at

    def store(books: Books) -> int:
        idle = now - timedelta(seconds=settings.sign_in_idle_s)
        count = books.people.users.forget_sign_ins(now, idle)
        return count + books.people.audit.forget(now - timedelta(seconds=settings.audit_retention_s))

    return await context.store.write(store) + await webhooks.forget(context)
