"""What waits for the writer, in two lanes: what somebody has asked for goes before what stations tell.

Guarantees
* Each lane keeps its order. Neither waits for ever: where both are many they take turns, commit by commit.
* A commit is small while somebody asks, and large in a storm of stations when nobody does.
* What was put in before `close` comes out before `take` says that there is no more.
"""

import queue
import threading
import time
from collections import deque
from typing import Final

from forecourt.store.writer import Job

MOST: Final = 512
"""Units in one commit: more gains nothing, and lengthens what the first of them wait."""
_MOST_BESIDE: Final = 128
"""Of stations, in a commit while somebody has asked just now."""
_JUST_NOW_S: Final = 1.0
_FEW: Final = 32
"""So many of stations share the commit of what was asked for; more wait for the next one."""


class Lanes:
    """Jobs on their way to the writer. Put in from one thread, taken out by another."""

    def __init__(self) -> None:
        self._asked: deque[Job] = deque()
        self._hurry = threading.Event()
        """Somebody has asked, or it was closed."""
        self._told: queue.SimpleQueue[Job | bool] = queue.SimpleQueue()
        """True: there was something in `_asked`. False: it is closed."""
        self._asked_s = -_JUST_NOW_S
        self._closed = False
        self._was_asked = False

    def ask(self, job: Job) -> None:
        """Somebody waits for it."""
        self._asked.append(job)
        self._told.put(True)
        self._hurry.set()

    def tell(self, job: Job) -> None:
        """A station has said it."""
        self._told.put(job)

    def close(self) -> None:
        """No more comes."""
        self._told.put(False)
        self._hurry.set()

    @property
    def waiting(self) -> int:
        """About how many."""
        return self._told.qsize()

    def gather(self, seconds: float) -> None:
        """Wait for more, at most so long and until somebody asks; not at all where there is enough for a commit."""
        if seconds > 0 and not self._asked and self._told.qsize() < MOST:
            self._hurry.wait(seconds)

    def take(self, timeout_s: float | None) -> list[Job] | None:
        """What goes into the next commit; None: it was closed, and all is done. Nothing came in time: empty."""
        jobs: list[Job] = []
        while not jobs and not self._asked and not self._closed:
            try:
                self._add(jobs, self._told.get(timeout=timeout_s))
            except queue.Empty:
                return jobs
        now_s = time.monotonic()
        self._hurry.clear()
        if self._asked and not (self._was_asked and self._told.qsize() > _FEW):
            self._asked_s = now_s
            while self._asked and len(jobs) < MOST:
                jobs.append(self._asked.popleft())
            self._was_asked = True
            most = len(jobs) + _FEW if self._told.qsize() <= _FEW else 0
        else:
            self._was_asked = False
            most = _MOST_BESIDE if now_s - self._asked_s < _JUST_NOW_S else MOST
        while len(jobs) < most and not self._closed:
            try:
                self._add(jobs, self._told.get_nowait())
            except queue.Empty:
                break
        return None if self._closed and not jobs and not self._asked else jobs

    def take_all(self) -> list[Job]:
        """Everything that waits."""
        jobs = list(self._asked)
        self._asked.clear()
        while not self._told.empty():
            self._add(jobs, self._told.get())
        return jobs

    def _add(self, jobs: list[Job], said: Job | bool) -> None:
        if said is False:
            self._closed = True
        elif said is not True:
            jobs.append(said)
