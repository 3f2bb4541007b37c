"""One process among those that are one CSMS: who is alive, who tidies up, what becomes of those who are gone.

Guarantees
* Each process beats in the books. One whose beat has not changed for `dead_after_s`, on the clock of whoever looks, is
  dead: nobody's calendar has to agree with anybody's. Who could not look for a while judges nobody by that while.
* What a dead process left open is ended, by one of those alive: its stations are not connected (unless they have come
  to another process since), their commands get their final states. What belongs to the living is not touched.
* One process leads: the first to enter of those alive. Only who leads tidies up. For a moment there may be two, or
  none; all that they do may be done twice.
* Who was given up for dead and isn't, is told so by its next beat: it lets go of all it holds, and enters anew.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from forecourt.csms import commands, provisioning
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ProcessRecord

BEAT_S: Final = 2.0
DEAD_AFTER_S: Final = 15.0
SEPARATOR: Final = "/"
"""Between a process and the rest of a connection's id."""


class _Seen(msgspec.Struct, frozen=True):
    beats: int
    since_s: float


class Membership:
    """This process. `enter`, then `turn` every `beat_s`, then `leave`."""

    def __init__(
        self,
        context: Context,
        process_id: str,
        name: str,
        *,
        beat_s: float = BEAT_S,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        """`process_id` was never used before and has no `SEPARATOR`; `name` is for people."""
        self.process_id = process_id
        self.beat_s = beat_s
        self._context = context
        self._name = name
        self._dead_after_s = dead_after_s
        self._seen: dict[str, _Seen] = {}
        self._beat_at_s: float | None = None
        self._first = False

    @property
    def leads(self) -> bool:
        """Whether this process tidies up. Who can't beat doesn't."""
        return self._first and self._beat_at_s is not None and self._now_s() - self._beat_at_s < self._dead_after_s

    def connection_id(self, own: str) -> str:
        """Of a connection that this process holds."""
        return f"{self.process_id}{SEPARATOR}{own}"

    async def enter(self) -> None:
        """Be there. Again, once one was given up for dead."""
        at = self._context.clock.now().at
        await self._context.store.write(lambda books: books.processes.enter(self.process_id, self._name, at))
        await self.turn()

    async def turn(self) -> bool:
        """Beat, look who else does, and end what the dead have left. False: this process was given up for dead."""

        def beat(books: Books) -> list[ProcessRecord]:
            return books.processes.every() if books.processes.beat(self.process_id) else []

        before_s = self._beat_at_s
        everybody = await self._context.store.write(beat)
        now_s = self._now_s()
        if not everybody:
            self._first = False
            return False
        if before_s is None or now_s - before_s > self._dead_after_s / 2:
            self._seen = {}  # nobody was looked at meanwhile
        self._beat_at_s = now_s
        self._seen = {process.id: self._looked(process, now_s) for process in everybody}
        alive = [process for process in everybody if not self._is_dead(process, now_s)]
        led, self._first = self._first, alive[0].id == self.process_id
        if self._first and (not led or len(alive) < len(everybody)):
            await self._bury([process for process in everybody if process not in alive])
        return True

    async def leave(self) -> None:
        """Be no more; nothing is held any more."""
        await self._context.store.write(lambda books: books.processes.remove(self.process_id))

    def _looked(self, process: ProcessRecord, now_s: float) -> _Seen:
        seen = self._seen.get(process.id)
        return seen if seen is not None and seen.beats == process.beats else _Seen(process.beats, now_s)

    def _is_dead(self, process: ProcessRecord, now_s: float) -> bool:
        return process.id != self.process_id and now_s - self._seen[process.id].since_s >= self._dead_after_s

    async def _bury(self, dead: Sequence[ProcessRecord]) -> None:
        """End what belongs to nobody: of the dead, and of processes from before there were several."""
        at = self._context.clock.now().at

        def store(books: Books) -> None:
            beats = {process.id: process.beats for process in books.processes.every()}
            for process in dead:
                if beats.get(process.id) == process.beats:  # else it lives, or somebody was faster
                    books.processes.remove(process.id)
                    del beats[process.id]
            stations = provisioning.gone_with(books, [f"{process_id}{SEPARATOR}" for process_id in beats], at)
            commands.gone_with(books, {station.number for station in stations}, at)

        await self._context.store.write(store)

    def _now_s(self) -> float:
        return self._context.clock.now().protocol_s
