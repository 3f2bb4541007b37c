"""`forecourt csms create-admin`: an administrator for a CSMS that nobody can sign in to, or not any more.

Guarantees
* Whoever may write the database may do this, whether the CSMS runs meanwhile or not; it is in the audit log.
* The password is for one use and printed once; nothing else ever shows it.
"""

import asyncio
import uuid
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from forecourt.app.config import ConfigError
from forecourt.app.running import Exit, fail
from forecourt.bus.in_process import InProcessBus
from forecourt.csms import auditing, people
from forecourt.csms.errors import CsmsError
from forecourt.csms.people_records import ActorKind
from forecourt.csms.ports import Context, StoreUnavailable
from forecourt.csms.records import Event
from forecourt.csms.settings import CsmsSettings
from forecourt.net.clock import RealClock
from forecourt.store.sql import open_store


def create_admin(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")] = "admin",
    config: Annotated[Path | None, typer.Option(help="Configuration in TOML, for its `database`.")] = None,
    database: Annotated[
        str | None, typer.Option(envvar="FORECOURT_DATABASE", help="Database URL. What is given here wins.")
    ] = None,
) -> None:
    """Make an administrator, or give the one of that name a new password, and end.

    The password printed is for one use: signing in leads to setting another. A user of that name becomes an
    administrator again, and is signed out everywhere.
    """
    from forecourt.app import csms  # noqa: PLC0415 - it has this as a task

    try:
        url, settings = csms.database_of(config, database)
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    try:
        text = asyncio.run(_restore(url, settings, name))
    except (StoreUnavailable, ValueError) as error:
        fail(f"database: {error}", Exit.UNAVAILABLE)
    except CsmsError as error:
        fail(str(error), Exit.USAGE)
    typer.echo(f"sign in as {name} with this password, for one use: {text}")


async def _restore(url: str, settings: CsmsSettings, name: str) -> str:
    async def read_log(after: int, limit: int) -> list[Event]:
        return await store.read(lambda books: books.events.after(after, limit))

    bus = InProcessBus(read_log)
    store = await open_store(url, publish=bus.publish)
    try:
        context = Context(store=store, bus=bus, clock=RealClock(), new_id=lambda: str(uuid.uuid4()), settings=settings)
        entry = auditing.entry(context, ActorKind.PROGRAM, "forecourt csms", "create_admin", f"/users/{name}")
        entry = msgspec.structs.replace(entry, status=200)
        audited = msgspec.structs.replace(context, store=auditing.AuditedStore(store, entry))
        return await people.restore_administrator(audited, name)
    finally:
        await store.close()
