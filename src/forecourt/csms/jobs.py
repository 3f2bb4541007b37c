"""What firmware jobs and log jobs have in common: when one is asked, asked anew, given up, and over.

Guarantees
* A job for a station that is not connected waits for it, up to its deadline; nothing is sent with `unsolicited_calls`
  off but at the moment the job is made.
* A job ends in exactly one state that is final; its addresses are closed with it.
* A failure that the station reports is tried again as often as the job says, a while later.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import msgspec

from forecourt.csms import files, published
from forecourt.csms.errors import Conflict, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Command, CommandState, Page
from forecourt.csms.resource_ports import Shelf
from forecourt.csms.resource_records import UNFINISHED, FirmwareJob, JobState, JobStep, LogJob
from forecourt.csms.stations import find_station
from forecourt.domain.requests import RequestStatus

J = TypeVar("J", bound=FirmwareJob | LogJob)

MOST_STEPS: Final = 100
"""Of a job's history; a station that goes round in circles does not fill the books."""

_AGAIN_S: Final = 60
"""How long after a failure a station is asked anew, where the job doesn't say."""


class Jobs(Generic[J]):
    """Jobs of one kind."""

    def __init__(
        self, kind: str, shelf: Callable[[Books], Shelf[J]], body: Callable[[J], Any], event_type: str
    ) -> None:
        self.kind = kind
        self.shelf = shelf
        self._body = body
        self._event_type = event_type
        self._of_images = kind == "firmware job"

    # For the API

    async def get(self, context: Context, number: int) -> J:
        """Raises NotFound."""
        found = await context.store.read(lambda books: self.shelf(books).get(context.organisation_id, number))
        if found is None:
            raise NotFound(self.kind, number)
        return found

    async def page(
        self,
        context: Context,
        *,
        station_id: str | None = None,
        state: JobState | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[J]:
        """Newest first. Raises NotFound for the station, Invalid for the cursor."""
        before = page_start(cursor)

        def query(books: Books) -> list[J]:
            where: dict[str, Any] = {"organisation_id": context.organisation_id}
            if station_id is not None:
                where["station_number"] = find_station(books, context.organisation_id, station_id).number
            if state is not None:
                where["state"] = state
            return self.shelf(books).find(where, since=created_from, until=created_to, before=before, limit=limit + 1)

        return page_of(await context.store.read(query), limit, lambda job: str(job.number))

    async def cancel(self, context: Context, number: int) -> J:
        """Give it up: it isn't asked again, and its addresses are closed. Raises NotFound, Conflict once it is over."""
        at = context.clock.now().at

        def store(books: Books) -> J:
            job = self.shelf(books).get(context.organisation_id, number)
            if job is None:
                raise NotFound(self.kind, number)
            if job.state not in UNFINISHED:
                raise Conflict(f"{self.kind} {number} is over")
            return self.move(books, job, at, "cancelled", state=JobState.CANCELLED)

        return await context.store.write(store)

    # Moving on

    async def claim(self, context: Context, number: int) -> tuple[J, str] | None:
        """Take a waiting job to ask its station: the job, and the id that the command shall have."""
        at = context.clock.now().at

        def store(books: Books) -> tuple[J, str] | None:
            job = self.shelf(books).get(context.organisation_id, number)
            if job is None or job.state is not JobState.WAITING:
                return None
            command_id = context.new_id()
            columns = {"state": JobState.REQUESTED, "attempts": job.attempts + 1, "command_id": command_id}
            return self.move(books, job, at, "asked", **columns), command_id

        return await context.store.write(store)

    async def keep(self, context: Context, start: Callable[[Context, J], Awaitable[Any]]) -> int:
        """End what is overdue, ask what waits and can be asked; gives how many jobs that were."""
        at = context.clock.now().at

        def overdue(books: Books) -> list[J]:
            return self.shelf(books).find({"state": UNFINISHED}, due={"deadline_at": at})

        def due(books: Books) -> list[J]:
            waiting = self.shelf(books).find({"state": JobState.WAITING}, due={"next_attempt_at": at})
            return [job for job in waiting if _connected(books, job.station_number)]

        def end(books: Books) -> int:
            over = overdue(books)
            for job in over:
                done = isinstance(job, LogJob) and job.file_number is not None
                state = JobState.DONE if done else JobState.TIMED_OUT
                self.move(books, job, at, "the deadline is past", state=state)
            return len(over)

        count = await context.store.write(end) if await context.store.read(overdue) else 0
        for job in await context.store.read(due) if context.settings.unsolicited_calls else ():
            await start(msgspec.structs.replace(context, organisation_id=job.organisation_id), job)
            count += 1
        return count

    def asked(self, books: Books, command: Command, word: RequestStatus | None, at: datetime, **columns: Any) -> None:
        """The command of a job has ended."""
        found = self.shelf(books).find({"command_id": command.id})
        if not found or found[0].state is not JobState.REQUESTED:
            return
        job = found[0]
        if command.state in {CommandState.OFFLINE, CommandState.EXPIRED}:
            # It was never asked: that is no attempt.
            waits = {"state": JobState.WAITING, "attempts": job.attempts - 1, "next_attempt_at": at}
            self.move(books, job, at, command.detail or str(command.state), **waits)
        elif command.state is CommandState.TIMEOUT:
            if job.attempts < job.most_attempts:
                self._failed(books, job, at, "no answer", {})
            else:
                # It may do it all the same, and say so; else the deadline ends it.
                self.move(books, job, at, "no answer", detail="the station has not answered")
        elif command.state is CommandState.ACCEPTED:
            self.move(books, job, at, str(word or "accepted"), state=JobState.RUNNING, **columns)
            if word is RequestStatus.ACCEPTED_CANCELED:
                for other in self.unfinished(books, job.station_number):
                    if other.number != job.number and other.state is JobState.RUNNING:
                        self.move(books, other, at, f"given up for {self.kind} {job.number}", state=JobState.REPLACED)
        else:
            detail = command.detail or command.error_description or str(word or command.state)
            self.move(books, job, at, str(word or command.state), state=JobState.REJECTED, detail=detail)

    def unfinished(self, books: Books, station_number: int) -> list[J]:
        """Of a station, newest first."""
        return self.shelf(books).find({"station_number": station_number, "state": UNFINISHED})

    def reported(self, books: Books, job: J, at: datetime, word: str, state: JobState, columns: dict[str, Any]) -> None:
        """The station said how far it has come."""
        if state is JobState.FAILED:
            self._failed(books, job, at, word, columns)
        else:
            self.move(books, job, at, word, state=state, **columns)

    def _failed(self, books: Books, job: J, at: datetime, word: str, columns: dict[str, Any]) -> None:
        if job.attempts >= job.most_attempts:
            self.move(books, job, at, word, state=JobState.FAILED, **columns)
        else:
            again_at = at + timedelta(seconds=_AGAIN_S if job.retry_interval_s is None else job.retry_interval_s)
            self.move(books, job, at, word, state=JobState.WAITING, next_attempt_at=again_at, **columns)

    def move(self, books: Books, job: J, at: datetime, what: str, **columns: Any) -> J:
        """Change it, note it in its history, tell of it; where it is over, close its addresses."""
        history = (*job.history, JobStep(at, what))[-MOST_STEPS:]
        self.shelf(books).change(job.number, at, history=history, **columns)
        after: J = msgspec.structs.replace(job, updated_at=at, history=history, **columns)
        if after.state not in UNFINISHED:
            files.close_addresses(books, job.number, of_images=self._of_images, now=at)
        self.tell(books, after, at)
        return after

    def tell(self, books: Books, job: J, at: datetime) -> None:
        """As it is now."""
        books.events.append(job.organisation_id, self._event_type, at, job.station_id, self._body(job))


FIRMWARE: Final[Jobs[FirmwareJob]] = Jobs(
    "firmware job",
    lambda books: books.resources.firmware_jobs,
    lambda job: published.FirmwareJobBody(job=job),
    published.FIRMWARE_JOB_UPDATED,
)
LOGS: Final[Jobs[LogJob]] = Jobs(
    "log job",
    lambda books: books.resources.log_jobs,
    lambda job: published.LogJobBody(job=job),
    published.LOG_JOB_UPDATED,
)


def wants_request_id(context: Context, books: Books, station_number: int) -> bool:
    """Whether the station's protocol numbers plain updates and diagnostics."""
    station = books.stations.by_number(station_number)
    protocol = None if station is None else station.protocol
    capabilities = None if protocol is None else context.capabilities.get(protocol)
    return capabilities is not None and not capabilities.plain_jobs_without_id


def base_url_of(context: Context, reached_by: str | None) -> str | None:
    """Where stations find the files of this CSMS."""
    url = context.settings.resources.files_url or reached_by
    return None if url is None else url.rstrip("/")


def _connected(books: Books, station_number: int) -> bool:
    station = books.stations.by_number(station_number)
    return station is not None and station.connected
