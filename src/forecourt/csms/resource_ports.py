"""What the CSMS needs to keep reservations, local lists, jobs, certificates and security events, and the files of them.

Guarantees asked of whoever implements them
* A `Shelf` gives every record a `number` that was never given before, and lists newest first.
* `FileStore.keep` either keeps all of a file or nothing, and never more than it was told to.
* An authority signs nothing it could not read; what it says of a request is what is in it, verified by its own key.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import msgspec

from forecourt.csms.contract_records import ContractCertificate
from forecourt.csms.resource_records import (
    Certificate,
    FileLink,
    FirmwareJob,
    LocalList,
    LocalListVersion,
    LogJob,
    Reservation,
    SecurityEvent,
    StationCertificate,
    StoredFile,
)

R = TypeVar("R")


class Shelf(Protocol[R]):
    """Records of one kind. Columns are named as the record's fields; a sequence of values means any of them.

    A name with `_key` behind it means the column without regard to case; its value is in small letters.
    """

    def add(self, now: datetime, **columns: Any) -> R:
        """Enter a new one; `number`, `created_at` and `updated_at` are seen to."""
        ...

    def get(self, organisation_id: int, number: int) -> R | None: ...
    def change(self, number: int, now: datetime, **columns: Any) -> None: ...
    def remove(self, number: int) -> None: ...
    def find(
        self,
        where: Mapping[str, Any],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        due: Mapping[str, datetime] = MappingProxyType({}),
        before: int | None = None,
        limit: int = 1000,
    ) -> list[R]:
        """Newest first: where every column has its value. `since` and `until` are about `created_at`.

        `due`: where the time in the column is not later than that.
        """
        ...

    def forget(self, before: datetime) -> int:
        """Take out what is older; gives how many."""
        ...


class ResourceBooks(Protocol):
    """One shelf for each kind."""

    @property
    def reservations(self) -> Shelf[Reservation]: ...
    @property
    def lists(self) -> Shelf[LocalList]: ...
    @property
    def list_versions(self) -> Shelf[LocalListVersion]: ...
    @property
    def files(self) -> Shelf[StoredFile]: ...
    @property
    def links(self) -> Shelf[FileLink]: ...
    @property
    def firmware_jobs(self) -> Shelf[FirmwareJob]: ...
    @property
    def log_jobs(self) -> Shelf[LogJob]: ...
    @property
    def certificates(self) -> Shelf[Certificate]: ...
    @property
    def installed(self) -> Shelf[StationCertificate]: ...
    @property
    def contract_certificates(self) -> Shelf[ContractCertificate]: ...
    @property
    def security_events(self) -> Shelf[SecurityEvent]: ...

    def next_reservation_id(self) -> int:
        """An id for a reservation, never given twice."""
        ...


class KeptFile(msgspec.Struct, frozen=True, kw_only=True):
    """What came of keeping a file."""

    key: str
    size: int
    sha256: str


class FileTooLarge(Exception):  # noqa: N818
    """More came than may be kept; nothing of it is."""


class FileStore(Protocol):
    """Keeps the bytes of files."""

    async def keep(self, content: AsyncIterator[bytes], largest: int) -> KeptFile:
        """Raises FileTooLarge, OSError."""
        ...

    def read(self, key: str) -> AsyncIterator[bytes]:
        """Raises FileNotFoundError."""
        ...

    async def remove(self, key: str) -> None: ...


class CsrContents(msgspec.Struct, frozen=True, kw_only=True):
    """What a request for a certificate says."""

    common_names: tuple[str, ...]
    organizations: tuple[str, ...]
    subject: str
    fault: str | None = None
    """Why no authority should sign it: its signature is wrong, its key too weak; None: nothing is wrong."""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was signed."""

    chain: str
    """PEM, the leaf first, without the root."""
    subject: str
    serial_number: str
    """Hexadecimal, small letters, without leading zeros."""
    not_before: datetime
    not_after: datetime


class AuthorityRefused(Exception):  # noqa: N818
    """The authority would not, or could not, sign; the text says why."""


class CertificateAuthority(Protocol):
    """Signs the certificates of stations: our own, or a way to somebody else's."""

    def examine(self, csr: str) -> CsrContents:
        """What is in a PKCS#10 request (PEM). ValueError when it can't be read."""
        ...

    async def issue(self, csr: str, station_id: str, now: datetime) -> Issued:
        """Sign it. Raises AuthorityRefused."""
        ...

    async def root(self) -> str:
        """The root that stations' certificates end at, PEM."""
        ...

    async def revocation_list(self, revoked: Sequence[tuple[str, datetime]], now: datetime) -> str | None:
        """A CRL, PEM, of these serial numbers; None: somebody else publishes it."""
        ...
