"""A simulated system behind a station: fetches, verifies, installs and uploads nothing, but takes its time over it.

Guarantees
* It is a `station.ports.System` in virtual time: what it was asked is answered `download_s`, `install_s` or `upload_s`
  later, by `advance`. A signature is judged at once.
* It does what the next entry of `downloads`, `signatures`, `installs`, `confirmations` or `uploads` says; when there is
  none, all goes well, and new firmware needs a restart.
* What was given up is not answered. After a restart of the station it forgets what it was doing, but not whether it has
  installed.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.firmware import LogUploadStatus
from forecourt.station.effects import (
    CancelFirmware,
    CancelUpload,
    ConfirmFirmware,
    DownloadFirmware,
    InstallFirmware,
    SystemEffect,
    UploadLog,
    VerifyFirmware,
)
from forecourt.station.inputs import FirmwareProgress, FirmwareStep, SystemInput, UploadProgress

T = TypeVar("T")


class SimulatedSystem:
    """The system of one station."""

    def __init__(self, *, download_s: float = 5.0, install_s: float = 10.0, upload_s: float = 3.0) -> None:
        self.download_s = download_s
        self.install_s = install_s
        self.upload_s = upload_s
        self.downloads: deque[FirmwareStep] = deque()
        self.signatures: deque[FirmwareStep] = deque()
        self.installs: deque[FirmwareStep] = deque()
        self.confirmations: deque[FirmwareStep] = deque()
        self.uploads: deque[LogUploadStatus] = deque()
        self.asked: list[SystemEffect] = []
        """Everything it was asked, in order."""
        self.wake: Callable[[], None] = lambda: None
        self._begun: int | None = None
        self._installed: int | None = None
        self._due: list[tuple[float, SystemInput]] = []

    @property
    def protocols(self) -> tuple[str, ...]:
        """What it says it can do."""
        return ("FTP", "HTTP", "HTTPS")

    def carry_out(self, effect: SystemEffect, now: Now) -> Sequence[SystemInput]:
        """Begin to do it."""
        self.asked.append(effect)
        match effect:
            case DownloadFirmware(job_id=job_id):
                step = _next(self.downloads, FirmwareStep.DOWNLOADED)
                self._later(now, self.download_s, FirmwareProgress(job_id, step))
            case VerifyFirmware(job_id=job_id):
                return (FirmwareProgress(job_id, _next(self.signatures, FirmwareStep.SIGNATURE_VALID)),)
            case InstallFirmware(job_id=job_id):
                step = _next(self.installs, FirmwareStep.REBOOT_NEEDED)
                self._begun = job_id
                self._installed = job_id if step in {FirmwareStep.REBOOT_NEEDED, FirmwareStep.INSTALLED} else None
                self._later(now, self.install_s, FirmwareProgress(job_id, step))
            case ConfirmFirmware(job_id=job_id):
                usual = FirmwareStep.INSTALLED if self._installed == job_id else FirmwareStep.INSTALL_FAILED
                usual = usual if self._begun == job_id else FirmwareStep.NOT_BEGUN
                return (FirmwareProgress(job_id, _next(self.confirmations, usual)),)
            case UploadLog(job_id=job_id):
                status = _next(self.uploads, LogUploadStatus.UPLOADED)
                self._later(now, self.upload_s, UploadProgress(job_id, status))
            case CancelFirmware():
                self._due = [due for due in self._due if not isinstance(due[1], FirmwareProgress)]
            case CancelUpload():
                self._due = [due for due in self._due if not isinstance(due[1], UploadProgress)]
        return ()

    def advance(self, now: Now) -> Sequence[SystemInput]:
        """What is done by now."""
        done = [news for due_s, news in self._due if due_s <= now.elapsed_s]
        self._due = [due for due in self._due if due[0] > now.elapsed_s]
        return done

    def next_deadlines(self) -> Deadlines:
        """When the next thing is done."""
        return Deadlines(elapsed_s=min((due_s for due_s, _ in self._due), default=None))

    def restart(self) -> None:
        """The power was gone."""
        self._due.clear()

    def _later(self, now: Now, wait_s: float, news: SystemInput) -> None:
        self._due.append((now.elapsed_s + wait_s, news))
        self._due.sort(key=lambda due: due[0])


def _next(queue: deque[T], usual: T) -> T:
    return queue.popleft() if queue else usual
