"""The horizon planner: when to charge whom, looking ahead; a linear programme solved by HiGHS.

Theory of operation
    For each demand and slot until it leaves there is a current. What EVSEs with equal columns draw together is limited
    by the rows of the site in every slot (`facets`). Energy that can't be delivered by the departure costs
    `unmet_price` per kWh, far more than anything else; then come energy prices, carbon, surplus from PV and the peak.
    Early is a little better than late: who comes tomorrow isn't known today.

    A plan advises, the real-time rule decides: `Plan.advise` writes the current planned for now into each demand,
    shares rise in proportion to it, and the rule's exact check has the last word, with nothing below a minimum, turns
    and priorities as ever. Without costs, whatever the plan leaves free is shared out as well; with costs, nothing
    above the plan is drawn. Without a plan the demands are what they were, and the rule stands on its own.

Guarantees
* `Planner.plan` gives a plan or None: no plan is made of a solution that isn't optimal, or that took longer than
  `time_limit_s` of solving. Nothing but the solver looks at a clock.
* The same site, demands, forecast and `now_s` give a plan of the same cost.
* Every planned current has an explanation.
* A plan is started from the last one's basis when it has the same shape.

`controller.md` §4 (horizon).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from forecourt.allocation.compiled import Asked, CompiledSite
from forecourt.allocation.demand import Background, Demand, Load, NodeLimit
from forecourt.allocation.explanation import Bound
from forecourt.allocation.facets import facets
from forecourt.allocation.filling import Tally
from forecourt.allocation.horizon import Forecast, Slots, growing_slots, per_slot
from forecourt.allocation.programme import Programme, Solver
from forecourt.allocation.urgency import NEUTRAL_S
from forecourt.domain.sentence import Sentence, say
from forecourt.domain.site import EvseKey

LONGEST_S: Final = 86400.0
"""Nobody is planned for further ahead."""

UNKNOWN_WH: Final = 10_000.0
"""What those are planned with who don't tell how much they want."""

_LITTLE_A: Final = 1e-3
_EARLY: Final = 0.02
"""What part of `unmet_price` the last slot is worse than the first."""
_EARLY_WITH_COSTS: Final = 1e-5


class PlannedShare(msgspec.Struct, frozen=True, gc=False):
    """What is planned for one EVSE."""

    now_a: float
    """In the first slot, on average."""
    planned_wh: float
    """Until it leaves."""
    unmet_wh: float
    """What can't be delivered until then."""
    bound: Bound | None
    """What keeps it from more now; None: its own maximum, or its time hasn't come."""
    starts_s: float | None
    """When it is to begin; None: not at all."""

    def text(self, now_s: float) -> str:
        """One line for a person."""
        return str(self.sentence(now_s))

    def sentence(self, now_s: float) -> Sentence:
        """The same."""
        energy, unmet = self.planned_wh / 1000.0, self.unmet_wh / 1000.0
        whole = say("{energy:.1f} kWh until it leaves", energy=energy)
        if self.unmet_wh >= 50.0:
            whole = say("{energy:.1f} kWh until it leaves, {unmet:.1f} kWh can't be met", energy=energy, unmet=unmet)
        if self.now_a > _LITTLE_A:
            why = say("its own maximum") if self.bound is None else self.bound.sentence()
            return say("plan: {now:.1f} A now, {why}; {whole}", now=self.now_a, why=why, whole=whole)
        if self.starts_s is None:
            return say("plan: nothing; {whole}", whole=whole)
        return say("plan: from {n:.0f} min on; {whole}", n=round((self.starts_s - now_s) / 60.0), whole=whole)


class Plan(msgspec.Struct, frozen=True):
    """What is to be drawn when."""

    made_s: float
    slots_until_s: tuple[float, ...]
    shares: dict[EvseKey, PlannedShare]
    currents_a: dict[EvseKey, tuple[float, ...]]
    """Per slot."""
    binding: bool
    """Whether more than planned isn't to be drawn, because it would cost more."""
    objective: float

    def at(self, key: EvseKey, now_s: float) -> float | None:
        """The current planned for this instant; None for an EVSE that isn't in the plan, or after its end."""
        currents_a = self.currents_a.get(key)
        if currents_a is None:
            return None
        for until_s, current_a in zip(self.slots_until_s, currents_a, strict=True):
            if now_s < until_s:
                return current_a
        return None

    def advise(self, demand: Demand, now_s: float) -> Demand:
        """The demand with what is planned for it; as it is if nothing is."""
        planned_a = self.at(demand.evse, now_s)
        if planned_a is None:
            return demand
        if not self.binding:
            return msgspec.structs.replace(demand, planned_a=planned_a)
        wanted_a = min(demand.wanted_a, planned_a)
        because = "the plan" if wanted_a < demand.wanted_a else demand.wanted_because
        return msgspec.structs.replace(demand, planned_a=planned_a, wanted_a=wanted_a, wanted_because=because)


class Planner:
    """Makes plans for one site. It remembers the last solution, which only makes the next one faster."""

    def __init__(
        self,
        site: CompiledSite,
        *,
        slot_s: float = 300.0,
        slots: Callable[[float, float, float], Slots] = growing_slots,
        time_limit_s: float = 5.0,
        unmet_price: float = 10.0,
    ) -> None:
        """`slots` is asked for (now_s, until_s, slot_s). `unmet_price` is per kWh that isn't delivered."""
        self._site = site
        self._slot_s = slot_s
        self._slots = slots
        self._unmet_price = unmet_price
        self._solver = Solver(time_limit_s)

    def slots(self, demands: Iterable[Demand], now_s: float) -> Slots:
        """Those that `plan` would use: a forecast needs a number for each."""
        until_s = max((_departure_s(demand, now_s) for demand in demands), default=now_s)
        return self._slots(now_s, min(until_s, now_s + LONGEST_S), self._slot_s)

    def plan(
        self,
        demands: Iterable[Demand],
        now_s: float,
        *,
        forecast: Forecast = Forecast(),  # noqa: B008 - immutable
        readings: Mapping[str, Background] | None = None,
        limits: Mapping[str, NodeLimit] | None = None,
        reserved: Iterable[Load] = (),
    ) -> Plan | None:
        """A plan for these demands; None if there is no solution in time.

        Background and reserved loads are expected to stay as they are. Raises KeyError for an EVSE or node that the
        site doesn't have, ValueError for a forecast that doesn't fit the slots.
        """
        site = self._site
        asked = [one for one in map(site.asked, demands) if one.maximum_a > 0.0]
        slots = self.slots((one.demand for one in asked), now_s)
        if not asked:
            return Plan(now_s, tuple(slots.ends_s.tolist()), {}, {}, forecast.has_costs, 0.0)
        tally = Tally(site.rows, site.room({} if readings is None else readings, limits), site.phasors)
        for load in reserved:
            tally.add(site.column(site.index(load.evse), load.active_phases, load.first_line), load.current_a)
        model = _Model(asked, slots, tally, forecast, self._unmet_price, now_s)
        solution = self._solver.solve(model.programme)
        return None if solution is None else model.plan_of(*solution)


class _Model:
    """Rows and columns of the programme. Currents in ampere, energies in kWh, powers in kW."""

    def __init__(
        self, asked: Sequence[Asked], slots: Slots, tally: Tally, forecast: Forecast, unmet_price: float, now_s: float
    ) -> None:
        self.asked, self.slots, self.now_s = asked, slots, now_s
        self.costs = forecast.has_costs
        count = len(slots)
        hours = slots.lengths_s / 3600.0
        self.kw = np.array([one.column.watts for one in asked]) / 1000.0
        numbers = {number: place for place, number in enumerate(dict.fromkeys(one.column.number for one in asked))}
        columns = list({one.column.number: one.column for one in asked}.values())
        self.group = np.array([numbers[one.column.number] for one in asked])
        most_a = [0.0] * len(columns)
        for one, group in zip(asked, self.group, strict=True):
            most_a[group] += one.maximum_a
        self.facets = facets(tally, columns, most_a)
        self.bounds = [tally.rows[facet.row].bound for facet in self.facets]
        departs_s = np.array([_departure_s(one.demand, now_s) for one in asked])
        part = np.clip((departs_s[:, None] - slots.starts_s) / slots.lengths_s, 0.0, 1.0)
        self.wanted_kwh = np.array([_remaining_wh(one.demand) for one in asked]) / 1000.0
        maximum_a = np.array([one.maximum_a for one in asked])

        # Currents: one for each slot that a car is there in.
        self.programme = programme = Programme()
        self.who, self.when = np.nonzero(part > 0.0)
        early = (_EARLY_WITH_COSTS if self.costs else _EARLY) * unmet_price
        late = slots.starts_s - now_s
        earliness = early * late / max(float(late[-1]), 1.0)
        exports = per_slot(forecast.export_price, slots)
        kwh = self.kw[self.who] * hours[self.when]
        self.currents = programme.variables(
            upper=part[self.who, self.when] * maximum_a[self.who],
            cost=kwh * (earliness + exports)[self.when],
        )
        # What isn't met.
        self.unmet = programme.variables(upper=self.wanted_kwh, cost=np.full(len(asked), unmet_price))
        programme.rows(
            len(asked),
            lower=self.wanted_kwh,
            upper=self.wanted_kwh,
            entries=[(self.who, self.currents, kwh), (np.arange(len(asked)), self.unmet, np.ones(len(asked)))],
        )
        # What flows together, and its limits.
        sums = programme.variables(upper=np.full(len(columns) * count, np.inf), cost=np.zeros(len(columns) * count))
        place = self.group[self.who] * count + self.when
        everything = np.arange(len(columns) * count)
        programme.rows(
            len(everything),
            lower=np.zeros(len(everything)),
            upper=np.zeros(len(everything)),
            entries=[(place, self.currents, np.ones(len(place))), (everything, sums, -np.ones(len(everything)))],
        )
        self._limit(sums.reshape(len(columns), count))
        if self.costs:
            kw = np.array([column.watts for column in columns]) / 1000.0
            self._price(sums.reshape(len(columns), count), kw, forecast, hours)

    def _limit(self, sums: np.ndarray) -> None:
        count = len(self.slots)
        facet_of, column_of, weights = [], [], []
        for number, facet in enumerate(self.facets):
            for column, weight in facet.weights.items():
                facet_of.append(number)
                column_of.append(column)
                weights.append(weight)
        rows = (np.array(facet_of, np.intp)[:, None] * count + np.arange(count)).ravel()
        variables = sums[np.array(column_of, np.intp)].ravel()
        rooms = np.array([facet.room for facet in self.facets])
        self.limits = self.programme.rows(
            len(self.facets) * count,
            lower=np.full(len(self.facets) * count, -np.inf),
            upper=np.repeat(rooms, count),
            entries=[(rows, variables, np.repeat(weights, count))],
        )

    def _price(self, sums: np.ndarray, kw: np.ndarray, forecast: Forecast, hours: np.ndarray) -> None:
        """From the grid comes what the surplus doesn't cover."""
        programme, slots = self.programme, self.slots
        count = len(slots)
        exports = per_slot(forecast.export_price, slots)
        carbon = forecast.carbon_price * per_slot(forecast.carbon_kg_per_kwh, slots)
        price = np.maximum(per_slot(forecast.import_price, slots) + carbon - exports, 0.0)
        grid = programme.variables(upper=np.full(count, np.inf), cost=price * hours)
        slot = np.arange(count)
        surplus_kw = per_slot(forecast.surplus_w, slots) / 1000.0
        drawn = [(slot, sums[column], np.full(count, -one)) for column, one in enumerate(kw)]
        programme.rows(
            count,
            lower=-surplus_kw,
            upper=np.full(count, np.inf),
            entries=[(slot, grid, np.ones(count)), *drawn],
        )
        if forecast.peak_price:
            base_kw = per_slot(forecast.base_w, slots) / 1000.0
            peak = programme.variables(upper=np.array([np.inf]), cost=np.array([forecast.peak_price]))
            programme.rows(
                count,
                lower=base_kw - forecast.peak_w / 1000.0,
                upper=np.full(count, np.inf),
                entries=[
                    (slot, np.full(count, peak[0]), np.ones(count)),
                    (slot, grid, -np.ones(count)),
                ],
            )

    def plan_of(self, values: np.ndarray, duals: np.ndarray, objective: float) -> Plan:
        """The solution in the words of the site."""
        count = len(self.slots)
        currents = np.zeros((len(self.asked), count))
        currents[self.who, self.when] = np.maximum(values[self.currents], 0.0)
        unmet_kwh = values[self.unmet]
        pressed = duals[self.limits].reshape(len(self.facets), count)[:, 0] if self.facets else np.zeros(0)
        bound_of: dict[int, Bound] = {}
        for number in np.argsort(-np.abs(pressed)):
            if abs(pressed[number]) > 1e-9:
                for column in self.facets[number].weights:
                    bound_of.setdefault(column, self.bounds[number])
        shares: dict[EvseKey, PlannedShare] = {}
        planned: dict[EvseKey, tuple[float, ...]] = {}
        for index, one in enumerate(self.asked):
            row = currents[index]
            begins = np.flatnonzero(row > _LITTLE_A)
            full = row[0] >= one.maximum_a - _LITTLE_A
            shares[one.demand.evse] = PlannedShare(
                now_a=float(row[0]),
                planned_wh=1000.0 * float(self.wanted_kwh[index] - unmet_kwh[index]),
                unmet_wh=1000.0 * max(0.0, float(unmet_kwh[index])),
                bound=None if full else bound_of.get(int(self.group[index])),
                starts_s=float(self.slots.starts_s[begins[0]]) if len(begins) else None,
            )
            planned[one.demand.evse] = tuple(row.tolist())
        ends_s = tuple(self.slots.ends_s.tolist())
        return Plan(self.now_s, ends_s, shares, planned, self.costs, objective)


def _departure_s(demand: Demand, now_s: float) -> float:
    """When it leaves; where that isn't known, when it could be done and a neutral laxity later."""
    if demand.departs_s is not None:
        return max(demand.departs_s, now_s + 1.0)
    return now_s + NEUTRAL_S + 3600.0


def _remaining_wh(demand: Demand) -> float:
    return UNKNOWN_WH if demand.remaining_wh is None else max(demand.remaining_wh, 0.0)
