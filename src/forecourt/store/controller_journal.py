"""The local controller's journal: what may hold at its stations, and what its CSMS has not heard, in one SQLite file.

Guarantees (`controller.md` §3.2, §3.6)
* What `journal` promises: one commit is all or nothing, and on the disk when it returns; a damaged file is put aside,
  and every EVSE then counts with its maximum until it has confirmed a limit.
* One controller at a time: a second one on the same file is an OSError. The end of a process, however it came, frees
  it.
* The file is its owner's alone: passwords towards the CSMS are in it.
"""

import os
from pathlib import Path

from forecourt.store.journal import SqliteJournal

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where the file itself is all there is
    fcntl = None  # type: ignore[assignment]

FILE = "controller.sqlite"


class ControllerJournal(SqliteJournal):
    """The journal in the folder `state_dir`. Used from one thread."""

    __slots__ = ("_lock",)

    def __init__(self, state_dir: Path) -> None:
        """Open or begin it.

        Raises:
            OSError: the place can't be written, or another controller uses it.
        """
        state_dir.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(state_dir / f"{FILE}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            super().__init__(state_dir / FILE)
        except BlockingIOError as error:
            os.close(self._lock)
            raise OSError(f"{state_dir}: another controller uses it") from error
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let go of the file."""
        super().close()
        os.close(self._lock)
