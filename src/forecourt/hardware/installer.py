"""Who puts firmware that was fetched and verified where it runs.

Guarantees
* What an installation came to can be asked after the restart that it needed, or that a power cut was (`confirm`).
"""

import asyncio
from pathlib import Path
from typing import Protocol

from forecourt.station.inputs import FirmwareStep


class Installer(Protocol):
    """Puts firmware where it runs."""

    async def install(self, job_id: int, firmware: Path) -> FirmwareStep:
        """REBOOT_NEEDED, INSTALLED, INSTALL_FAILED or INSTALL_UNVERIFIED."""
        ...

    def confirm(self, job_id: int) -> FirmwareStep:
        """After a restart: whether what `install` did works: INSTALLED, INSTALL_FAILED or INSTALL_UNVERIFIED.

        The power may have gone while it was at it.
        """
        ...


class FileInstaller:
    """Installs firmware as a file, for a station without any: `folder/current.bin`. An empty one is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def install(self, job_id: int, firmware: Path) -> FirmwareStep:
        """Move it there; it runs after a restart."""
        return await asyncio.to_thread(self._install, job_id, firmware)

    def confirm(self, job_id: int) -> FirmwareStep:
        """Whether it is there."""
        try:
            installed = (self._folder / "current.job").read_text(encoding="ascii")
        except OSError:
            return FirmwareStep.INSTALL_FAILED
        return FirmwareStep.INSTALLED if installed == str(job_id) else FirmwareStep.INSTALL_FAILED

    def _install(self, job_id: int, firmware: Path) -> FirmwareStep:
        if firmware.stat().st_size == 0:
            return FirmwareStep.INSTALL_FAILED
        (self._folder / "current.job").unlink(missing_ok=True)
        firmware.replace(self._folder / "current.bin")
        (self._folder / "current.job").write_text(str(job_id), encoding="ascii")
        return FirmwareStep.REBOOT_NEEDED
