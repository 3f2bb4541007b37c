"""Updates of the firmware: fetched, verified, and installed when nobody is charging.

Theory of operation. An update is a job in the journal that goes through the stages below. The core decides when; the
system (`ports.System`) fetches, verifies and installs, and says how it went.

Guarantees
* A state that is entered is told once, in order, through the queue of reports: neither an outage nor a reboot loses it
  (OCPP 1.6 §4.5, §5.19; security white paper L01.FR.01, L01.FR.10).
* It is not fetched before its retrieve date; a download that fails is tried again `retries` times, `retry_interval_s`
  apart (§6.25 with errata 3.50). What was fetched is installed at once, or at its install date (L01.FR.05, FR.16).
* A signed update is accepted only with a valid certificate, and installed only with a valid signature (L01.FR.04,
  FR.23 to FR.25); either failure is a security event (L01.FR.02, FR.03). Where signatures can be verified, an update
  without one is refused, unless the station is configured to take it (L01.FR.20).
* Before it installs, the station waits for all transactions to end; meanwhile EVSEs without one are Unavailable, and
  they come back when the update is over, whichever way it went (L01.FR.06, FR.07).
* A new request takes the place of an update that is not yet being installed (AcceptedCanceled, L01.FR.26, FR.27).
* A pause of the download and the restart before an installation are told, too (L01.FR.14, FR.15); at its install date
  it is installed as if it had just come (FR.17). Idle is said only when asked for, after the end of an update, without
  a request id (OCPP 1.6 §7.25; L01.FR.21).
* A restart goes on where it was: what was being fetched is fetched again; what was being installed is asked about.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.domain.events import FirmwareStatusReported
from forecourt.domain.firmware import FirmwareStatus
from forecourt.domain.requests import RequestStatus, UpdateFirmware
from forecourt.domain.station import Capabilities
from forecourt.station.config import StationConfig, retry_wait
from forecourt.station.effects import (
    CancelFirmware,
    ConfirmFirmware,
    DownloadFirmware,
    InstallFirmware,
    VerifyFirmware,
)
from forecourt.station.evse import Evse
from forecourt.station.inputs import FirmwareProgress, FirmwareStep
from forecourt.station.reports import Reports
from forecourt.station.reset import Resets
from forecourt.station.security_log import SecurityEvent, SecurityLog
from forecourt.station.turn import Turn

SECTION: Final = "firmware"
JOB_KEY: Final = "job"
LAST_KEY: Final = "last"


class Stage(StrEnum):
    """Where an update is."""

    WAITS_TO_FETCH = "waits to fetch"
    FETCHING = "fetching"
    VERIFYING = "verifying"
    WAITS_FOR_DATE = "waits for date"
    WAITS_FOR_IDLE = "waits for idle"
    INSTALLING = "installing"
    REBOOTING = "rebooting"


_PLAINLY: Final[Mapping[FirmwareStatus, FirmwareStatus]] = {
    FirmwareStatus.DOWNLOAD_SCHEDULED: FirmwareStatus.IDLE,
    FirmwareStatus.DOWNLOAD_PAUSED: FirmwareStatus.DOWNLOADING,
    FirmwareStatus.SIGNATURE_VERIFIED: FirmwareStatus.DOWNLOADED,
    FirmwareStatus.INSTALL_SCHEDULED: FirmwareStatus.DOWNLOADED,
    FirmwareStatus.INSTALL_REBOOTING: FirmwareStatus.INSTALLING,
}
"""What is said when asked for in the words of OCPP 1.6 §7.25 alone: it has been told before, and still is so."""

_UNSTOPPABLE: Final = frozenset({Stage.INSTALLING, Stage.REBOOTING})
_TAKES_EVSES: Final = frozenset({Stage.WAITS_FOR_IDLE, *_UNSTOPPABLE})


class _Job(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An update, as the journal keeps it."""

    job_id: int
    request: UpdateFirmware
    stage: Stage
    retries_left: int
    next_at: datetime
    """When to fetch, or to install."""
    told: FirmwareStatus | None = None

    @property
    def signed(self) -> bool:
        return is_signed(self.request)


class _Last(msgspec.Struct, frozen=True):
    """How the last signed update ended, if it failed."""

    firmware_status: FirmwareStatus
    request_id: int | None


decode_job = msgspec.json.Decoder(_Job).decode
decode_last = msgspec.json.Decoder(_Last).decode


def is_signed(request: UpdateFirmware) -> bool:
    """Whether the firmware is to be verified."""
    return request.signature is not None or request.signing_certificate is not None


class Firmware:
    """The update of one station, if there is one."""

    __slots__ = (
        "_capabilities",
        "_config",
        "_evses",
        "_job",
        "_last",
        "_last_id",
        "_log",
        "_reports",
        "_resets",
        "_restarting",
        "_zero",
    )

    def __init__(
        self,
        config: StationConfig,
        capabilities: Capabilities,
        reports: Reports,
        security_log: SecurityLog,
        resets: Resets,
        evses: Mapping[int, Evse],
    ) -> None:
        self._config = config
        self._capabilities = capabilities
        self._reports = reports
        self._log = security_log
        self._resets = resets
        self._evses = evses
        self._job: _Job | None = None
        self._last: _Last | None = None
        self._last_id = 0
        self._restarting = False
        """This process has asked for the restart into the new firmware."""
        self._zero: tuple[datetime, float] | None = None

    def restore(self, kept: Mapping[str, bytes], turn: Turn) -> None:
        """Go on with the update that the journal knows of."""
        if LAST_KEY in kept:
            self._last = decode_last(kept[LAST_KEY])
        if JOB_KEY not in kept:
            return
        job = self._job = decode_job(kept[JOB_KEY])
        self._last_id = job.job_id
        if not self._config.has_system:
            self._end(FirmwareStatus.INSTALLATION_FAILED, turn)  # whoever could go on with it is gone
        elif job.stage is Stage.FETCHING:
            turn.emit(DownloadFirmware(job.job_id, job.request.location))
        elif job.stage is Stage.VERIFYING:
            self._verify(job, turn)
        elif job.stage in _UNSTOPPABLE:
            turn.emit(ConfirmFirmware(job.job_id))
        self._hold_evses()

    # What a CSMS asks

    def admits(self, request: UpdateFirmware) -> bool:
        """Whether the station takes updates of this kind at all."""
        if is_signed(request):
            return self._config.has_security
        allowed = self._config.unsigned_firmware
        return not self._config.has_security if allowed is None else allowed

    def begin(self, request: UpdateFirmware, turn: Turn) -> RequestStatus:
        """Take an update whose certificate, if it has one, is valid. What to answer."""
        old = self._job
        if old is not None and old.stage in _UNSTOPPABLE:
            return RequestStatus.REJECTED
        if old is not None:
            turn.emit(CancelFirmware(old.job_id))
        # By the time, so that no restart gives an id again that the system may remember.
        self._last_id = max(self._last_id + 1, int(turn.at.timestamp()))
        retries = self._config.transfer_retries if request.retries is None else max(0, request.retries)
        self._job = _Job(
            job_id=self._last_id,
            request=request,
            stage=Stage.WAITS_TO_FETCH,
            retries_left=retries,
            next_at=request.retrieve_at,
        )
        self._hold_evses()
        self._forget_last(turn)
        self._keep(turn)
        return RequestStatus.ACCEPTED if old is None else RequestStatus.ACCEPTED_CANCELED

    def certificate_refused(self, turn: Turn, info: str | None) -> None:
        """The certificate of a signed update is not valid (L01.FR.02)."""
        self._log.note(SecurityEvent.INVALID_FIRMWARE_SIGNING_CERTIFICATE, turn, info)

    def on_trigger(self, *, extended: bool) -> FirmwareStatusReported:
        """What to say when asked for the status (OCPP 1.6 §4.5; L01.FR.28, FR.29)."""
        job = self._job
        if self._capabilities.security_extension and not extended:
            told = None if job is None or job.told is None else _PLAINLY.get(job.told, job.told)
            return FirmwareStatusReported(firmware_status=told or FirmwareStatus.IDLE)
        if job is not None and job.told is not None and job.request.request_id is not None:
            return FirmwareStatusReported(firmware_status=job.told, request_id=job.request.request_id)
        if job is None and self._last is not None:
            return FirmwareStatusReported(
                firmware_status=self._last.firmware_status, request_id=self._last.request_id, extended=extended
            )
        return FirmwareStatusReported(firmware_status=FirmwareStatus.IDLE, extended=extended)

    # What happens

    def progress(self, news: FirmwareProgress, turn: Turn) -> None:
        """The system has done something, or could not."""
        job = self._job
        if job is None or job.job_id != news.job_id:
            return
        match job.stage, news.step:
            case Stage.FETCHING, FirmwareStep.DOWNLOADED:
                self._tell(FirmwareStatus.DOWNLOADED, turn)
                self._fetched(job, turn)
            case Stage.FETCHING, FirmwareStep.DOWNLOAD_PAUSED:
                self._tell(FirmwareStatus.DOWNLOAD_PAUSED, turn)
                self._keep(turn)
            case Stage.FETCHING, FirmwareStep.DOWNLOAD_RESUMED:
                self._tell(FirmwareStatus.DOWNLOADING, turn)
                self._keep(turn)
            case Stage.FETCHING | Stage.VERIFYING, FirmwareStep.DOWNLOAD_FAILED:
                self._fetch_failed(job, turn)
            case Stage.VERIFYING, FirmwareStep.SIGNATURE_VALID:
                self._tell(FirmwareStatus.SIGNATURE_VERIFIED, turn)
                self._verified(job, turn)
            case Stage.VERIFYING, FirmwareStep.SIGNATURE_INVALID:
                self._log.note(SecurityEvent.INVALID_FIRMWARE_SIGNATURE, turn, news.info or None)
                self._end(FirmwareStatus.INVALID_SIGNATURE, turn)
            case Stage.INSTALLING, FirmwareStep.NOT_BEGUN:
                turn.emit(InstallFirmware(job.job_id))
            case Stage.INSTALLING, FirmwareStep.REBOOT_NEEDED:
                job.stage = Stage.REBOOTING
                self._tell(FirmwareStatus.INSTALL_REBOOTING, turn)
                self._keep(turn)
                self._resets.begin_for_firmware(turn)
                self._restarting = True
            case Stage.INSTALLING | Stage.REBOOTING, FirmwareStep.INSTALLED:
                self._log.note(SecurityEvent.FIRMWARE_UPDATED, turn, news.info or None)
                self._end(FirmwareStatus.INSTALLED, turn)
            case Stage.INSTALLING | Stage.REBOOTING, FirmwareStep.INSTALL_UNVERIFIED:
                self._end(FirmwareStatus.INSTALL_VERIFICATION_FAILED, turn)
            case (
                (Stage.WAITS_FOR_DATE | Stage.WAITS_FOR_IDLE | Stage.INSTALLING | Stage.REBOOTING),
                (FirmwareStep.INSTALL_FAILED | FirmwareStep.DOWNLOAD_FAILED),
            ):
                self._end(FirmwareStatus.INSTALLATION_FAILED, turn)
            case _:
                pass  # the answer to something that is no longer wanted

    def update(self, turn: Turn) -> None:
        """What has come to its time begins."""
        self._zero = (turn.at, turn.now.elapsed_s)
        job = self._job
        if job is None:
            return
        if job.stage is Stage.WAITS_TO_FETCH:
            self._fetch_when_due(job, turn)
        if job.stage is Stage.WAITS_FOR_DATE and job.next_at <= turn.at:
            job.stage = Stage.WAITS_FOR_IDLE
            self._keep(turn)
        if job.stage is Stage.WAITS_FOR_IDLE:
            self._hold_evses()
            self._install_when_idle(job, turn)
        elif self._restarting and not self._resets.under_way:
            self._end(FirmwareStatus.INSTALLATION_FAILED, turn)  # the system could not restart itself

    def next_deadline_s(self) -> float | None:
        """When to call `update`, on the world's clock."""
        job = self._job
        if job is None or self._zero is None or job.stage not in {Stage.WAITS_TO_FETCH, Stage.WAITS_FOR_DATE}:
            return None
        zero_at, zero_s = self._zero
        return zero_s + max(0.0, (job.next_at - zero_at).total_seconds())

    # Inside

    def _fetch_when_due(self, job: _Job, turn: Turn) -> None:
        if job.next_at > turn.at:
            if job.told is None:
                self._tell(FirmwareStatus.DOWNLOAD_SCHEDULED, turn)  # L01.FR.13
                self._keep(turn)
            return
        job.stage = Stage.FETCHING
        if job.told is not FirmwareStatus.DOWNLOADING:
            self._tell(FirmwareStatus.DOWNLOADING, turn)
        self._keep(turn)
        turn.emit(DownloadFirmware(job.job_id, job.request.location))

    def _fetch_failed(self, job: _Job, turn: Turn) -> None:
        if job.retries_left <= 0:
            self._end(FirmwareStatus.DOWNLOAD_FAILED, turn)
            return
        job.retries_left -= 1
        job.next_at = turn.at + retry_wait(self._config, job.request.retry_interval_s)
        job.stage = Stage.WAITS_TO_FETCH
        self._keep(turn)

    def _fetched(self, job: _Job, turn: Turn) -> None:
        if not job.signed:
            self._verified(job, turn)
            return
        if job.request.signature is None or job.request.signing_certificate is None:
            self._log.note(SecurityEvent.INVALID_FIRMWARE_SIGNATURE, turn, "there is no signature")
            self._end(FirmwareStatus.INVALID_SIGNATURE, turn)
            return
        job.stage = Stage.VERIFYING
        self._keep(turn)
        self._verify(job, turn)

    def _verify(self, job: _Job, turn: Turn) -> None:
        certificate, signature = job.request.signing_certificate, job.request.signature
        turn.emit(VerifyFirmware(job.job_id, certificate or "", signature or ""))

    def _verified(self, job: _Job, turn: Turn) -> None:
        job.next_at = job.request.install_at or turn.at
        job.stage = Stage.WAITS_FOR_DATE
        if job.next_at > turn.at or self._busy():
            self._tell(FirmwareStatus.INSTALL_SCHEDULED, turn)  # L01.FR.16
        self._keep(turn)

    def _busy(self) -> bool:
        return any(evse.transaction is not None for evse in self._evses.values())

    def _install_when_idle(self, job: _Job, turn: Turn) -> None:
        if self._busy() or self._resets.under_way:
            return
        job.stage = Stage.INSTALLING
        self._tell(FirmwareStatus.INSTALLING, turn)
        self._keep(turn)
        turn.emit(InstallFirmware(job.job_id))

    def _hold_evses(self) -> None:
        """While an update is due nothing new starts; afterwards everything is as it was."""
        taken = self._job is not None and self._job.stage in _TAKES_EVSES
        for evse in self._evses.values():
            evse.out_for_update = taken
            if taken and evse.transaction is None:
                evse.authorization = None

    def _tell(self, firmware_status: FirmwareStatus, turn: Turn) -> None:
        job = self._job
        if job is None:
            return
        job.told = firmware_status
        event = FirmwareStatusReported(firmware_status=firmware_status, request_id=job.request.request_id)
        self._reports.add(event, turn, critical=firmware_status.is_final)

    def _end(self, firmware_status: FirmwareStatus, turn: Turn) -> None:
        job = self._job
        if job is None:
            return
        self._tell(firmware_status, turn)
        turn.emit(CancelFirmware(job.job_id))
        if firmware_status is not FirmwareStatus.INSTALLED and job.signed:
            self._last = _Last(firmware_status, job.request.request_id)
            turn.put(SECTION, LAST_KEY, self._last)
        self._job = None
        self._restarting = False
        turn.delete(SECTION, JOB_KEY)
        self._hold_evses()

    def _keep(self, turn: Turn) -> None:
        turn.put(SECTION, JOB_KEY, self._job)

    def _forget_last(self, turn: Turn) -> None:
        if self._last is not None:
            self._last = None
            turn.delete(SECTION, LAST_KEY)
