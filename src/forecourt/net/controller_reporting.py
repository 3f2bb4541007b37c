"""Has a station report what the control needs, as soon as it is registered.

Guarantees
* Everything goes in the controller's own name, and the CSMS hears nothing of it (`sampling`, `measurands`).
* One question after the other; one that is refused or not answered ends what depends on it, and nothing else.
"""

from typing import Final

import msgspec

from forecourt.controller.measurands import Measurands
from forecourt.controller.registry import Registry
from forecourt.controller.sampling import Sampling
from forecourt.dialect.port import Dialect, Inexpressible, Untranslatable
from forecourt.domain.clock import Now
from forecourt.domain.requests import GetVariables, GetVariablesAnswer, SetVariables, SetVariablesAnswer
from forecourt.domain.variable import SetVariableStatus
from forecourt.rpc.events import Answered, Outcome
from forecourt.rpc.relay import Relay
from forecourt.rpc.relay_events import Side

TAKEN: Final = (SetVariableStatus.ACCEPTED, SetVariableStatus.REBOOT_REQUIRED)


class Question(msgspec.Struct, frozen=True, eq=False):
    """The token of a call of its own."""

    request: GetVariables | SetVariables


class Reporting:
    """That of one station."""

    def __init__(
        self,
        station_id: str,
        dialect: Dialect,
        relay: Relay,
        sampling: Sampling,
        measurands: Measurands,
        registry: Registry,
    ) -> None:
        self._station_id = station_id
        self._dialect = dialect
        self._relay = relay
        self._sampling = sampling
        self._measurands = measurands
        self._registry = registry

    def begin(self, now: Now) -> None:
        """The station is registered."""
        self.tell_interval(now)
        for question in self._measurands.questions():
            self._ask(question, now)

    def tell_interval(self, now: Now) -> None:
        """How often to report, where the station has to be told."""
        setting = self._sampling.setting()
        if setting is not None:
            self._ask(setting, now)

    def told(self, question: Question, outcome: Outcome, now: Now) -> None:
        """What became of a call."""
        request = question.request
        answer = None
        if isinstance(outcome, Answered):
            try:
                answer = self._dialect.decode_request_answer(request, outcome.payload).value
            except Untranslatable:
                answer = None
        following = None
        if isinstance(request, GetVariables) and isinstance(answer, GetVariablesAnswer):
            following = self._measurands.read(answer)
        elif isinstance(request, SetVariables) and request.settings[0].ref in self._measurands.refs:
            taken = isinstance(answer, SetVariablesAnswer) and all(one.outcome in TAKEN for one in answer.results)
            following = self._measurands.answered(request, taken=taken)
        self._registry.samples(self._station_id, self._measurands.kept)
        if following is not None:
            self._ask(following, now)

    def _ask(self, request: GetVariables | SetVariables, now: Now) -> None:
        try:
            message = self._dialect.encode_request(request)
        except Inexpressible:
            return
        token = Question(request)
        self._relay.call(Side.STATION, message.action, message.payload, now.protocol_s, token=token)
