"""Who asks, tier by tier, kept from one decision to the next: most demands are those of the last time.

Guarantees
* The tiers of the same demands are the same, whatever was kept: what is kept saves work and changes no result.
* Whoever takes a site's roster up has it alone until it is given back, or lost: two decisions at once, or one that ends
  with an error, only cost the next one more.
"""

import operator
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Final

from forecourt.allocation.compiled import Asked, CompiledSite
from forecourt.allocation.crowd import Crowd
from forecourt.allocation.decision import Allocation
from forecourt.allocation.demand import Demand
from forecourt.allocation.plain import Entries

MANY: Final = 48
"""From so many of one priority on arrays are faster."""

_ORDER: Final = itemgetter(Asked._fields.index("order"))
_PRIORITY: Final = itemgetter(Asked._fields.index("priority"))


class Tier:
    """Those of one priority, in the order of the site."""

    __slots__ = ("crowd", "members")

    def __init__(self, site: CompiledSite, members: list[Asked], made: dict[int, Entries]) -> None:
        self.members = members
        many = len(members) >= MANY and not site.phasors
        self.crowd = Crowd(site, members, made) if many else None

    def change(self, place: int, one: Asked) -> None:
        """Somebody asks for something else."""
        self.members[place] = one
        if self.crowd is not None:
            self.crowd.change(place, one)


class Roster:
    """The tiers of some demands, highest priority first."""

    def __init__(self, site: CompiledSite, given: list[Demand], made: dict[int, Entries]) -> None:
        """`made` keeps what a roster has worked out for its columns. Raises KeyError for an EVSE that the site doesn't
        have, ValueError for two demands of one EVSE."""
        self.made = made
        self.tiers: list[Tier] = []
        self.unchanged = False
        """Whether it is the roster of the last decision, and remembers all of it."""
        self._decided: Allocation | None = None
        self._given = given
        asked = sorted(map(site.asked, given), key=_ORDER)
        places: dict[int, tuple[Tier, int]] = {}
        for _, members in groupby(asked, key=_PRIORITY):
            tier = Tier(site, list(members), made)
            self.tiers.append(tier)
            places.update((one.evse, (tier, place)) for place, one in enumerate(tier.members))
        if len(places) != len(given):
            raise ValueError("more than one demand for an EVSE")
        self._places = [places[site.index(demand.evse)] for demand in given]

    def takes(self, site: CompiledSite, given: list[Demand]) -> bool:
        """Whether these are the same EVSEs in the same order and tiers; what else has changed is changed here."""
        if len(given) != len(self._given):
            return False
        differs = map(operator.is_not, given, self._given)
        for k in [k for k, different in enumerate(differs) if different]:
            if given[k] == self._given[k]:
                continue
            tier, place = self._places[k]
            was, one = tier.members[place], site.asked(given[k])
            if one.evse != was.evse or one.priority != was.priority:
                return False
            tier.change(place, one)
        self._given = given
        return True

    def recall(self, previous: Allocation | None) -> None:
        """Everybody's last share."""
        self.unchanged = previous is not None and previous is self._decided
        if not self.unchanged:
            shares = {} if previous is None else previous.shares
            for tier in self.tiers:
                if tier.crowd is not None:
                    tier.crowd.recall(shares)

    def keep(self, site: CompiledSite, allocation: Allocation) -> None:
        """For the next decision."""
        self._decided = allocation
        site.kept = self


def taken_up(site: CompiledSite, demands: Iterable[Demand]) -> Roster:
    """The roster of these demands. Raises KeyError for an EVSE that the site doesn't have, ValueError for two demands
    of one EVSE."""
    given = list(demands)
    kept, site.kept = site.kept, None
    if not isinstance(kept, Roster):
        return Roster(site, given, {})
    return kept if kept.takes(site, given) else Roster(site, given, kept.made)
