"""Everything a station asks for: of its journal, its link, its hardware.

Guarantees
* Effects are carried out in the order of the list. A turn has at most one `Persist`, and it stands first: what the
  turn changed is in the journal, as one transaction, before anybody else learns of it.
* A reply stands before the effects of what it promises (OCPP 1.6 §5.2, §5.14, §5.17).
"""

from datetime import datetime
from enum import IntEnum, StrEnum

import msgspec

from forecourt.domain.certificate import CertificateSigningUse
from forecourt.domain.events import Notice
from forecourt.domain.firmware import LogType
from forecourt.domain.journal import Change
from forecourt.domain.profile import CompositeSchedule
from forecourt.domain.requests import CsmsRequestAnswer, DataTransfer, DataTransferAnswer, StationRequest
from forecourt.domain.token import IdToken
from forecourt.domain.variable import VariableReading, VariableRef, VariableSetResult
from forecourt.station.security_questions import SecurityQuestion

# The journal


class Persist(msgspec.Struct, frozen=True):
    """Do all of these or none, and come back when they survive a power cut."""

    changes: tuple[Change, ...]


# The link


class Urgency(IntEnum):
    """Which of the waiting calls leaves first."""

    ORDINARY = 1
    DRIVER_WAITS = 2
    BOOT = 9


class Send(msgspec.Struct, frozen=True):
    """Call the CSMS; `CallAnswered` or `CallFailed` with the same id follows, or `LinkDown`."""

    call_id: int
    call: Notice | StationRequest
    urgency: Urgency = Urgency.ORDINARY


class Reply(msgspec.Struct, frozen=True):
    """Answer a request."""

    request_id: str
    answer: CsmsRequestAnswer


class Refuse(msgspec.Struct, frozen=True):
    """Answer a request with the error that this station does not support it: none of its profiles has it."""

    request_id: str
    too_much: bool = False
    """Instead with the error that it asks for more than one request may."""


class Disregard(msgspec.Struct, frozen=True):
    """Leave a request unanswered for good (OCPP 1.6 §4.2, while Rejected)."""

    request_id: str


# The hardware


class SetLimit(msgspec.Struct, frozen=True):
    """Offer the car at most `limit_a` ampere on each of `number_phases` phases; 0: nothing."""

    evse_id: int
    limit_a: float
    number_phases: int


class ClosePowerPath(msgspec.Struct, frozen=True):
    """Energy may flow as soon as the car wants it."""

    evse_id: int


class OpenPowerPath(msgspec.Struct, frozen=True):
    """No energy may flow."""

    evse_id: int


class SetOperative(msgspec.Struct, frozen=True):
    """An EVSE is in use or not, whoever wants that: for lights and displays. Until told otherwise it is."""

    evse_id: int
    operative: bool


class LockConnector(msgspec.Struct, frozen=True):
    """Hold the plug; answered by `LockChanged`."""

    evse_id: int


class ReleaseConnector(msgspec.Struct, frozen=True):
    """Let go of the plug; answered by `LockChanged`."""

    evse_id: int


class Reboot(msgspec.Struct, frozen=True):
    """Restart: the software at least, and with `hard` everything."""

    hard: bool


class PriceSubject(StrEnum):
    """What a price or cost on a display is."""

    DEFAULT_PRICE = "DefaultPrice"
    USER_PRICE = "UserPrice"
    RUNNING_COST = "RunningCost"
    FINAL_COST = "FinalCost"


class SetClock(msgspec.Struct, frozen=True):
    """The CSMS's clock is ahead of ours by so much. For information: the core reckons with it by itself."""

    offset_s: float


class Configure(msgspec.Struct, frozen=True):
    """A variable whose effect lies outside the core has a new value."""

    ref: VariableRef
    value: str


class ReservationMade(msgspec.Struct, frozen=True):
    """An EVSE (None: any) is kept for a token, or one of its group: for displays and lights. The core keeps it."""

    reservation_id: int
    evse_id: int | None
    id_token: IdToken
    group_id_token: IdToken | None
    expires_at: datetime


class ReservationOver(msgspec.Struct, frozen=True):
    """A reservation has been used, has expired, or was given up."""

    reservation_id: int


class PublishSchedule(msgspec.Struct, frozen=True):
    """The limits to come of an EVSE (0: the station), by the installed profiles, local limits and hardware.

    For those who plan ahead; the limit that holds now is told by `SetLimit`.
    """

    evse_id: int
    schedule: CompositeSchedule


class ShowPrices(msgspec.Struct, frozen=True, kw_only=True):
    """What the display of an EVSE (None: of the whole station) says of prices and costs from now on."""

    evse_id: int | None
    about: PriceSubject
    text: str = ""
    """In the station's language; nothing: it is shown without words."""
    language: str = ""
    cost: str | None = None
    """The amount, with the decimals that it is shown with."""
    id_token: IdToken | None = None
    """Whose price it is, where no EVSE is known to be theirs yet."""
    qr_code_text: str | None = None


class GiveEvCertificate(msgspec.Struct, frozen=True):
    """Give the car what the CSMS answered about its contract's certificate (EXI, base64); None: nothing came of it."""

    evse_id: int
    exi_response: str | None


class TokenAnswered(msgspec.Struct, frozen=True):
    """Tell whoever presented a token what came of it."""

    id_token: IdToken
    accepted: bool
    evse_id: int | None = None
    reason: str = ""


# The system


class DownloadFirmware(msgspec.Struct, frozen=True):
    """Fetch firmware and keep it under `job_id`; answered by `FirmwareProgress`. It may be asked for again."""

    job_id: int
    location: str


class VerifyFirmware(msgspec.Struct, frozen=True):
    """Verify the whole file that was fetched; answered by `FirmwareProgress` (security white paper L01.FR.04).

    The certificate was checked before: `signing_certificate` is PEM, `signature` base64.
    """

    job_id: int
    signing_certificate: str
    signature: str


class InstallFirmware(msgspec.Struct, frozen=True):
    """Install what was fetched: nobody uses the station now. Answered by `FirmwareProgress`."""

    job_id: int


class ConfirmFirmware(msgspec.Struct, frozen=True):
    """The station has started again since it was asked to install: did it work? Answered by `FirmwareProgress`."""

    job_id: int


class CancelFirmware(msgspec.Struct, frozen=True):
    """Forget what was fetched, and give up the update unless it is over."""

    job_id: int


class UploadLog(msgspec.Struct, frozen=True):
    """Upload a log as `filename` to the directory `location`; answered by `UploadProgress`. Maybe asked for again."""

    job_id: int
    log_type: LogType
    location: str
    filename: str
    oldest_at: datetime | None = None
    latest_at: datetime | None = None
    lines: tuple[str, ...] = ()
    """The security log, as JSON lines; of diagnostics the system knows itself what to say."""


class CancelUpload(msgspec.Struct, frozen=True):
    """Give up the upload."""

    job_id: int


SystemEffect = (
    DownloadFirmware | VerifyFirmware | InstallFirmware | ConfirmFirmware | CancelFirmware | UploadLog | CancelUpload
)


# Certificates and keys


class AskSecurity(msgspec.Struct, frozen=True):
    """Ask whoever keeps certificates and keys; `SecurityAnswered` follows, under the same reference."""

    reference: str
    question: SecurityQuestion
    at: datetime
    """The time by which validity is judged."""


class CertificateChanged(msgspec.Struct, frozen=True):
    """The station has a new certificate, or trusts others than before: connect anew (A02.FR.08)."""

    use: CertificateSigningUse


class ConnectWith(msgspec.Struct, frozen=True):
    """From the next attempt on, connect under this security profile; anew, if there is a connection."""

    profile: int
    password: str
    """Empty: there is none."""

    def __repr__(self) -> str:
        return f"ConnectWith(profile={self.profile})"


# Applications on the station


class PassDataTransfer(msgspec.Struct, frozen=True):
    """Give the application a vendor's message of the CSMS; answered by `DataTransferAnswered`."""

    reference: str
    request: DataTransfer


class DataTransferDone(msgspec.Struct, frozen=True):
    """The CSMS's answer to an application's message; None: it could not be asked, or did not answer."""

    reference: str
    answer: DataTransferAnswer | None


class VariablesTold(msgspec.Struct, frozen=True):
    """What came of `VariablesWanted`: in the order in which they were named."""

    reference: str
    results: tuple[VariableSetResult, ...]
    readings: tuple[VariableReading, ...]


class SetAside(msgspec.Struct, frozen=True):
    """A billing message was refused too often and waits in the journal for an operator (OCPP 1.6 §3.7.1)."""

    seq: int
    transaction_id: str


HardwareEffect = (
    SetLimit
    | ClosePowerPath
    | OpenPowerPath
    | SetOperative
    | LockConnector
    | ReleaseConnector
    | Reboot
    | SetClock
    | Configure
    | ReservationMade
    | ReservationOver
    | PublishSchedule
    | ShowPrices
    | GiveEvCertificate
    | TokenAnswered
    | PassDataTransfer
    | DataTransferDone
    | VariablesTold
)

Effect = (
    Persist
    | Send
    | Reply
    | Refuse
    | Disregard
    | HardwareEffect
    | SystemEffect
    | AskSecurity
    | CertificateChanged
    | ConnectWith
    | SetAside
)
