"""The log of decisions on disk: lines of JSON that can be replayed, in a few files of bounded size.

Guarantees
* The file in use is `decisions.jsonl`; when it is full it becomes `decisions.1.jsonl`, that one `decisions.2.jsonl`,
  and so on; the oldest goes. Together they are never larger than `files` times `largest_bytes`, and one line more.
* Each file can be replayed by itself.
* A log that can't be written stops nothing: it is told once, and tried again with the next file.
"""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from forecourt.controller.decision_record import DecisionCase, Recorder

log = logging.getLogger(__name__)

FILE: Final = "decisions.jsonl"
_AGAIN_AFTER: Final = 600
"""So many decisions after a failure it is tried again."""


class DecisionLog:
    """The log in the folder `state_dir`. Used from one thread."""

    def __init__(
        self, state_dir: Path, recorder: Recorder, *, largest_bytes: int = 16 * 1024 * 1024, files: int = 8
    ) -> None:
        self._folder = state_dir
        self._recorder = recorder
        self._largest_bytes = largest_bytes
        self._files = files
        self._file: BinaryIO | None = None
        self._size = 0
        self._wait = 0

    def decided(self, case: DecisionCase, at: datetime) -> None:
        """Write one down."""
        if self._wait > 0:
            self._wait -= 1
            return
        try:
            if self._file is None or self._size >= self._largest_bytes:
                self._begin()
            assert self._file is not None
            line = self._recorder.line(case, at) + b"\n"
            self._file.write(line)
            self._size += len(line)
        except OSError as error:
            log.warning("decisions can't be logged: %s", error)
            self.close()
            self._wait = _AGAIN_AFTER

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                log.warning("the last decisions can't be logged: %s", error)

    def _begin(self) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        names = [self._folder / FILE, *(self._folder / f"decisions.{number}.jsonl" for number in range(1, self._files))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)
        names[0].touch(mode=0o600)
        self._file = names[0].open("ab", buffering=0)
        opening = self._recorder.opening() + b"\n"
        self._file.write(opening)
        self._size = len(opening)


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file. OSError: it can't be read."""
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")
