"""Charging from what the sun leaves over.

Guarantees
* Each EVSE has a mode: `off`, `pv` (surplus only), `min+pv` (its minimum always, more from surplus), `fast` (whatever
  the site bears).
* Surplus is what flows out of the site, or would if no EVSE drew anything, less what goes into batteries that come
  first. It is given to the higher priority first, then to those who charge already; each gets its minimum before
  anybody gets more, and what is left evenly.
* A car starts only when the surplus has been enough for its minimum for `start_after_s`, and stops only when it hasn't
  been for `stop_after_s`; in between it goes on with its minimum. Changes of less than `STEP_A` are not made.
* Where the site's meter is silent there is no surplus.
"""

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.domain.site import EvseKey

STEP_A: Final = 0.5


class ChargeMode(StrEnum):
    """How an EVSE is charged."""

    OFF = "off"
    PV = "pv"
    MIN_PV = "min+pv"
    FAST = "fast"


class SurplusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read from `[surplus]`."""

    mode: ChargeMode = ChargeMode.FAST
    """Of every EVSE that has none of its own."""
    evses: dict[str, ChargeMode] = {}
    """By `station/evse`, such as "wallbox/1"."""
    start_after_s: float = 60.0
    stop_after_s: float = 180.0
    reserve_w: float = 0.0
    """Stays unused, so that nothing is drawn from the grid by mistake; negative: so much may be drawn."""
    battery_first: bool = True
    """Whether what a battery takes is kept from cars; False: cars may have what it charges with."""
    battery_first_until_percent: float = 100.0
    """Above this state of charge cars come first."""


class Hungry(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE in a mode that looks at the surplus, with a car that wants to charge."""

    key: EvseKey
    mode: ChargeMode
    priority: int
    minimum_a: float
    maximum_a: float
    watts_per_a: float


class _State:
    def __init__(self) -> None:
        self.on = False
        self.other_since_s: float | None = None
        """Since when the surplus has called for the other state."""
        self.given_a = 0.0


class Surplus:
    """Who gets how much of it; and the modes."""

    def __init__(self, settings: SurplusSettings) -> None:
        self.settings = settings
        self._modes: dict[EvseKey, ChargeMode] = {}
        self._states: dict[EvseKey, _State] = {}
        self._due_s: float | None = None
        self.version = 0
        """Counts what has to be kept anew."""

    def mode(self, key: EvseKey) -> ChargeMode:
        """How an EVSE is charged."""
        return self._modes.get(key) or self.settings.evses.get(str(key)) or self.settings.mode

    def set_mode(self, key: EvseKey, mode: ChargeMode) -> None:
        """Somebody wants it otherwise."""
        self._modes[key] = mode
        self.version += 1

    def set_modes(self) -> Mapping[EvseKey, ChargeMode]:
        """What somebody wanted otherwise."""
        return self._modes

    def next_s(self) -> float | None:
        """When somebody may start or stop (elapsed)."""
        return self._due_s

    def available_w(self, base_w: float | None, battery_w: float = 0.0, battery_percent: float | None = None) -> float:
        """The surplus: `base_w` is what flows into the site without EVSEs, None where that isn't known; `battery_w`
        what its batteries charge with."""
        if base_w is None:
            return 0.0
        settings = self.settings
        full = battery_percent is not None and battery_percent >= settings.battery_first_until_percent
        charging_w = max(0.0, battery_w)
        discharging_w = max(0.0, -battery_w)
        mine_w = 0.0 if settings.battery_first and not full else charging_w
        return max(0.0, -base_w + mine_w - discharging_w - settings.reserve_w)

    def share_out(self, available_w: float, hungry: Iterable[Hungry], now_s: float) -> Mapping[EvseKey, float]:
        """Ampere for each; who isn't there any more is forgotten."""
        wanting = {one.key: one for one in hungry}
        self._states = {key: state for key, state in self._states.items() if key in wanting}
        for key in wanting:
            self._states.setdefault(key, _State())
        self._due_s = None
        order = sorted(wanting.values(), key=lambda one: (-one.priority, not self._states[one.key].on, str(one.key)))
        left_w = available_w
        charging: list[Hungry] = []
        for one in order:
            minimum_w = one.minimum_a * one.watts_per_a
            if one.mode is ChargeMode.MIN_PV or self._charges(one.key, left_w >= minimum_w - 1e-6, now_s):
                charging.append(one)
                left_w -= minimum_w
        shares = {one.key: one.minimum_a for one in charging}
        shares |= self._spread(max(0.0, left_w), charging)
        return {key: self._steady(key, shares.get(key, 0.0), wanting[key]) for key in wanting}

    def _charges(self, key: EvseKey, enough: bool, now_s: float) -> bool:
        """Whether it may charge from surplus, after having waited long enough."""
        state = self._states[key]
        if enough is state.on:
            state.other_since_s = None
            return state.on
        if state.other_since_s is None:
            state.other_since_s = now_s
        wait_s = self.settings.stop_after_s if state.on else self.settings.start_after_s
        due_s = state.other_since_s + wait_s
        if now_s >= due_s:
            state.on, state.other_since_s = enough, None
        else:
            self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)
        return state.on

    def _spread(self, left_w: float, charging: list[Hungry]) -> dict[EvseKey, float]:
        """What is left evenly above the minimums, the higher priorities first."""
        found = {one.key: one.minimum_a for one in charging}
        for priority in sorted({one.priority for one in charging}, reverse=True):
            open_ = [one for one in charging if one.priority == priority]
            while open_ and left_w > 1e-6:
                each_w = left_w / len(open_)
                full = [one for one in open_ if (one.maximum_a - found[one.key]) * one.watts_per_a <= each_w]
                for one in full or open_:
                    take_w = (one.maximum_a - found[one.key]) * one.watts_per_a if full else each_w
                    found[one.key] += take_w / one.watts_per_a
                    left_w -= take_w
                open_ = [one for one in open_ if one not in full] if full else []
        return found

    def _steady(self, key: EvseKey, aim_a: float, one: Hungry) -> float:
        """Small changes aren't worth a message; starting, stopping and the minimum always are."""
        state = self._states[key]
        edge = min(aim_a, state.given_a) < one.minimum_a or math.isclose(aim_a, one.minimum_a)
        if edge or abs(aim_a - state.given_a) >= STEP_A:
            state.given_a = aim_a
        return min(state.given_a, one.maximum_a)
