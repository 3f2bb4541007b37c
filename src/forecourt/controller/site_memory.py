"""What the controller remembers of stations, tokens and messages, as one journal keeps it.

Guarantees
* Whatever is changed in a turn is handed out once, by `take`, for one commit; nothing of the turn is said before it.
* A journal of another site, or of stations that are gone, is no trouble: what belongs to nobody is left alone.
"""

from collections.abc import Iterable

from forecourt.controller.backlog import Backlog
from forecourt.controller.keeping import Keeping
from forecourt.controller.registry import Registry
from forecourt.controller.settings import OfflineSettings
from forecourt.controller.tokens import Tokens
from forecourt.controller.transaction_ids import ProvisionalIds
from forecourt.domain.journal import Change, JournalState


class SiteMemory:
    """All of a site; `memory` is what its journal holds."""

    def __init__(self, station_ids: Iterable[str], settings: OfflineSettings, memory: JournalState) -> None:
        self._keeping = Keeping()
        self.registry = Registry(self._keeping, memory, age_s=settings.boot_age_s)
        self.tokens = Tokens(
            self._keeping,
            memory,
            age_s=settings.token_age_s,
            accept_unknown=settings.unknown_tokens == "accept",
        )
        self.ids = ProvisionalIds(self._keeping, memory)
        self.backlogs = {
            station_id: Backlog(station_id, self._keeping, memory, bound=settings.queue)
            for station_id in dict.fromkeys(station_ids)
        }

    def take(self) -> tuple[Change, ...]:
        """What has changed since the last time."""
        return self._keeping.take()
