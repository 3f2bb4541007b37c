"""Setting variables: for the CSMS, and for whoever owns the station.

Guarantees
* Both are judged alike: what a CSMS may not set, nobody sets (OCPP 1.6 §5.3; security white paper A05).
* Whoever asked is told before anything follows from it.
"""

from collections.abc import Callable

from forecourt.domain.variable import VariableSetResult, VariableSetting
from forecourt.station.access import Refusals
from forecourt.station.effects import VariablesTold
from forecourt.station.inputs import VariablesWanted
from forecourt.station.parts import Parts
from forecourt.station.turn import Turn

Told = Callable[[tuple[VariableSetResult, ...], Turn], None]


def change(parts: Parts, settings: tuple[VariableSetting, ...], told: Told, turn: Turn) -> None:
    """Set what can be set; `told` hears how that went, now or when whoever keeps certificates has been asked."""

    def judged(refusals: Refusals, turn: Turn) -> None:
        results, tell = parts.variables.set(settings, turn, refusals)
        parts.cache.forget_listed(turn)
        told(results, turn)
        for effect in tell:
            turn.emit(effect)
        parts.access.changed(turn)

    parts.access.judge(settings, judged, turn)


def wanted(parts: Parts, asked: VariablesWanted, turn: Turn) -> None:
    """Somebody at the station sets and reads variables."""

    def told(results: tuple[VariableSetResult, ...], turn: Turn) -> None:
        turn.emit(VariablesTold(asked.reference, results, parts.variables.read(asked.refs)))

    change(parts, asked.settings, told, turn)
