"""Files: images that stations fetch, logs that they leave; each at an address of its own (OCPP 1.6 §5.9, §5.19).

Guarantees
* An address has 256 random bits, is good for one file and until its job is over, and is kept as a digest only. Whoever
  has it needs nothing else: a station shows no other credential when it fetches or uploads.
* At an address to leave a file one file is taken, once, of a bounded size; a second one is refused.
* An image is what its SHA-256 says: one that comes with another is not kept.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page
from forecourt.csms.resource_ports import FileStore, KeptFile
from forecourt.csms.resource_records import UNFINISHED, FileKind, FileLink, StoredFile

LONGEST_NAME = 120


class ImageFields(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of an image."""

    signature: str | None = None
    """Base64."""
    signing_certificate: str | None = None
    """PEM."""
    note: str | None = None


def store_of(context: Context) -> FileStore:
    """Where files are kept. Raises Conflict."""
    if context.files is None:
        raise Conflict("this CSMS keeps no files: set `files` in its configuration")
    return context.files


async def keep_image(
    context: Context, name: str, content: AsyncIterator[bytes], *, sha256: str | None = None
) -> StoredFile:
    """Keep an image of firmware.

    Raises:
        Invalid: the name, or the content isn't what `sha256` says.
        Conflict: this CSMS keeps no files.
        FileTooLarge: it is.
    """
    _check_name(name)
    store = store_of(context)
    kept = await store.keep(content, context.settings.resources.largest_image)
    if sha256 is not None and sha256.lower() != kept.sha256:
        await store.remove(kept.key)
        raise Invalid("sha256", f"is not that of the content, which is {kept.sha256}")
    at = context.clock.now().at
    return await context.store.write(
        lambda books: _enter(books, context.organisation_id, FileKind.FIRMWARE, name, kept, at)
    )


async def describe_image(context: Context, number: int, fields: ImageFields) -> StoredFile:
    """Say what its signature is. Raises NotFound, Invalid."""
    if (fields.signature is None) != (fields.signing_certificate is None):
        raise Invalid("signature", "needs its certificate, and a certificate its signature (L01)")
    at = context.clock.now().at

    def store(books: Books) -> StoredFile:
        file = _find(books, context, number, FileKind.FIRMWARE)
        columns = msgspec.structs.asdict(fields)
        books.resources.files.change(number, at, **columns)
        return msgspec.structs.replace(file, updated_at=at, **columns)

    return await context.store.write(store)


async def list_files(
    context: Context,
    kind: FileKind,
    *,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[StoredFile]:
    """Newest first. Raises Invalid for the cursor."""
    before = page_start(cursor)
    where = {"organisation_id": context.organisation_id, "kind": kind}
    found = await context.store.read(
        lambda books: books.resources.files.find(
            where, since=created_from, until=created_to, before=before, limit=limit + 1
        )
    )
    return page_of(found, limit, lambda file: str(file.number))


async def get_file(context: Context, number: int, kind: FileKind) -> StoredFile:
    """Raises NotFound."""
    return await context.store.read(lambda books: _find(books, context, number, kind))


async def remove_file(context: Context, number: int, kind: FileKind) -> None:
    """Raises NotFound, and Conflict while a job is about it."""

    def store(books: Books) -> StoredFile:
        file = _find(books, context, number, kind)
        if books.resources.firmware_jobs.find({"file_number": number, "state": UNFINISHED}, limit=1):
            raise Conflict(f"file {number} is that of a job that isn't over")
        books.resources.files.remove(number)
        return file

    await store_of(context).remove((await context.store.write(store)).key)


def content_of(context: Context, file: StoredFile) -> AsyncIterator[bytes]:
    """Raises Conflict, and FileNotFoundError once it is read."""
    return store_of(context).read(file.key)


# Addresses


def open_address(
    books: Books,
    organisation_id: int,
    job_number: int,
    file_number: int | None,
    expires_at: datetime,
    now: datetime,
) -> str:
    """A new address: to fetch that file, or (None) to leave one."""
    token = secrets.token_urlsafe(32)
    books.resources.links.add(
        now,
        organisation_id=organisation_id,
        digest=_digest(token),
        file_number=file_number,
        job_number=job_number,
        expires_at=expires_at,
    )
    return token


def close_addresses(books: Books, job_number: int, *, of_images: bool, now: datetime) -> None:
    """A job is over."""
    for link in books.resources.links.find({"job_number": job_number}):
        if (link.file_number is not None) == of_images and link.expires_at > now:
            books.resources.links.change(link.number, now, expires_at=now)


async def fetch(context: Context, token: str) -> StoredFile | None:
    """The file at an address; None: nothing is there to be fetched."""
    now = context.clock.now().at

    def query(books: Books) -> StoredFile | None:
        link = _link(books, token, now)
        if link is None or link.file_number is None:
            return None
        return books.resources.files.get(link.organisation_id, link.file_number)

    return await context.store.read(query)


async def leave(context: Context, token: str, name: str | None, content: AsyncIterator[bytes]) -> StoredFile | None:
    """Take a log at an address; None: none is taken there, or not any more.

    Raises:
        FileTooLarge: it is.
    """
    now = context.clock.now().at

    def take(books: Books) -> FileLink | None:
        link = _link(books, token, now)
        if link is None or link.file_number is not None or link.used_at is not None:
            return None
        books.resources.links.change(link.number, now, used_at=now)
        return link

    link = await context.store.write(take)
    if link is None:
        return None
    store = store_of(context)
    try:
        kept = await store.keep(content, context.settings.resources.largest_log)
    except BaseException:
        # Another attempt may go better.
        await context.store.write(lambda books: books.resources.links.change(link.number, now, used_at=None))
        raise

    def enter(books: Books) -> StoredFile:
        at = context.clock.now().at
        job = books.resources.log_jobs.get(link.organisation_id, link.job_number)
        called = _safe_name(name or (None if job is None else job.filename))
        station_id = None if job is None else job.station_id
        file = _enter(books, link.organisation_id, FileKind.LOG, called, kept, at, station_id)
        books.resources.log_jobs.change(link.job_number, at, file_number=file.number)
        return file

    return await context.store.write(enter)


# Inside


def _enter(
    books: Books,
    organisation_id: int,
    kind: FileKind,
    name: str,
    kept: KeptFile,
    at: datetime,
    station_id: str | None = None,
) -> StoredFile:
    return books.resources.files.add(
        at,
        organisation_id=organisation_id,
        kind=kind,
        name=name,
        key=kept.key,
        size=kept.size,
        sha256=kept.sha256,
        station_id=station_id,
    )


def _find(books: Books, context: Context, number: int, kind: FileKind) -> StoredFile:
    file = books.resources.files.get(context.organisation_id, number)
    if file is None or file.kind is not kind:
        raise NotFound(f"{kind} file", number)
    return file


def _link(books: Books, token: str, now: datetime) -> FileLink | None:
    found = books.resources.links.find({"digest": _digest(token)})
    return found[0] if found and found[0].expires_at > now else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _check_name(name: str) -> None:
    if not name or name != _safe_name(name):
        raise Invalid("name", f"must have 1 to {LONGEST_NAME} letters, digits, and any of . _ - + in between")


def _safe_name(name: str | None) -> str:
    """As a file may be called anywhere, whatever a station calls it."""
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-+") else "-" for letter in name or ""
    )
    return kept.strip(".-")[:LONGEST_NAME].rstrip(".-") or "file"
