"""Firmware behind MQTT that fetches, verifies and installs its own next version, and uploads its own logs.

Guarantees
* It is a `station.ports.System`: what the core asks leaves as `stack/system`, what comes of it is told by `advance`.
* What is asked while the firmware is away is asked when it comes. What it had not answered when it left is asked again,
  but for an installation, which may be why it left: the question is then whether it worked (`ConfirmFirmware`).
* An answer to something that was not asked, or was given up, is ignored; a second one too.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from forecourt.domain.clock import Deadlines, Now
from forecourt.hardware.mqtt_payloads import FirmwareSaid, UploadSaid
from forecourt.hardware.mqtt_words import Publication, told
from forecourt.station.effects import (
    CancelFirmware,
    CancelUpload,
    ConfirmFirmware,
    InstallFirmware,
    SystemEffect,
    UploadLog,
)
from forecourt.station.inputs import FirmwareProgress, FirmwareStep, SystemInput, UploadProgress

_ON_THE_WAY: Final = frozenset({FirmwareStep.DOWNLOAD_PAUSED, FirmwareStep.DOWNLOAD_RESUMED})
"""These don't answer a request: more is to come."""


class MqttSystem:
    """The system of one station. `protocols` are those that its firmware transfers by."""

    def __init__(self, protocols: tuple[str, ...]) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.publish: Callable[[Publication], None] = lambda publication: None  # noqa: ARG005 - of the link
        self._protocols = protocols
        self._here = False
        self._firmware: SystemEffect | None = None
        """The request that waits for an answer."""
        self._upload: UploadLog | None = None
        self._news: deque[SystemInput] = deque()

    # As a port

    @property
    def protocols(self) -> tuple[str, ...]:
        """What the firmware can fetch from and upload to."""
        return self._protocols

    def carry_out(self, effect: SystemEffect, now: Now) -> Sequence[SystemInput]:  # noqa: ARG002 - of the port
        """Ask the firmware for it."""
        match effect:
            case UploadLog():
                self._upload = effect
            case CancelUpload():
                self._upload = None
            case CancelFirmware():
                self._firmware = None
            case _:
                self._firmware = effect
        self._ask(effect)
        return ()

    def advance(self, now: Now) -> Sequence[SystemInput]:  # noqa: ARG002 - of the port
        """What it has answered."""
        news = tuple(self._news)
        self._news.clear()
        return news

    def next_deadlines(self) -> Deadlines:
        """None: `wake` is called."""
        return Deadlines()

    # The firmware

    def firmware_came(self) -> None:
        """It is online."""
        if self._here:
            return
        self._here = True
        for waiting in (self._firmware, self._upload):
            if waiting is not None:
                self._ask(waiting)

    def firmware_left(self) -> None:
        """It is gone."""
        self._here = False
        if isinstance(self._firmware, InstallFirmware):
            self._firmware = ConfirmFirmware(self._firmware.job_id)

    def hear(self, said: FirmwareSaid | UploadSaid) -> None:
        """It has answered."""
        if isinstance(said, UploadSaid):
            if self._upload is not None and self._upload.job_id == said.job_id:
                self._upload = None
                self._tell(UploadProgress(said.job_id, said.status))
        elif self._firmware is not None and self._firmware.job_id == said.job_id:
            if said.step not in _ON_THE_WAY:
                self._firmware = None
            self._tell(FirmwareProgress(said.job_id, said.step, said.info))

    def _ask(self, effect: SystemEffect) -> None:
        if self._here:
            request = {"request": type(effect).__name__, **msgspec.to_builtins(effect)}
            self.publish(told("stack/system", request))

    def _tell(self, news: SystemInput) -> None:
        self._news.append(news)
        self.wake()
