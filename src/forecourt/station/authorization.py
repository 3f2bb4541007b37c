"""Whether a token may charge: who is asked, in which order.

Guarantees
* The station's own knowledge is asked in its order, and the first that knows the token speaks for all: a local list in
  front of a cache (OCPP 1.6 §3.5.3, §4.1).
* Online, a token known to be valid is accepted without asking if LocalPreAuthorize says so; the CSMS is asked about any
  other (§3.5, §4.1), also about one known to be invalid (§3.5.1), unless DisablePostAuthorize settles it (OCPP 2.0.1
  C10.FR.03, C14.FR.03).
* Offline, a token known to be invalid or expired is refused, whatever else is set (§3.5.4). One known to be valid is
  accepted if LocalAuthorizeOffline says so; else it counts as unknown, and AllowOfflineTxForUnknownId decides.
* By contract (ISO 15118) the CSMS is always asked while it can be, whatever is known here. Offline, or where no answer
  comes, a contract counts only if it was found valid here and ContractValidationOffline says that this is enough; then
  the eMAID is judged as any token is (application note on ISO 15118 §5; OCPP 2.0.1 C07).
* A question whose answer does not come, or is an error, is decided as if the station were offline.
* Every question ends in exactly one `Verdict`.
* Where costs are shown and WaitForSetUserPriceTimeout says so, the verdict on a token that the CSMS has just accepted
  waits for the price that the CSMS has for it (SetUserPrice), so that whoever acts on the verdict knows the price. No
  price within that time, or no connection any more: the verdict stands without one (the key is libocpp's).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from forecourt.domain.certificate import OcspQuery
from forecourt.domain.requests import Authorize
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.variable import VariableRef
from forecourt.station.calls import Calls, ForToken
from forecourt.station.effects import Urgency
from forecourt.station.extension_variables import COSTS_SHOWN, OFFLINE_VALIDATION, PRICE_PATIENCE_MS
from forecourt.station.turn import Turn
from forecourt.station.variable_table import (
    LOCAL_AUTHORIZE_OFFLINE,
    LOCAL_PRE_AUTHORIZE,
    OFFLINE_TX_FOR_UNKNOWN_ID,
)
from forecourt.station.variables import Variables

T = TypeVar("T")


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind an eMAID: what to give the CSMS for it, and what was found here."""

    certificate: str | None = None
    """The chain, where the CSMS has to validate it."""
    hashes: tuple[OcspQuery, ...] = ()
    valid: bool = False
    """It was validated here."""


class LocalCheck(msgspec.Struct, frozen=True):
    """One place where the station itself knows tokens."""

    info: Callable[[IdToken, datetime], IdTokenInfo | None]
    """What is known of a token at an instant; None: nothing."""
    final: VariableRef
    """The variable that makes a refusal from here final while online: the CSMS is not asked again."""
    used: Callable[[IdToken, Turn], None] = lambda _, __: None
    """Told when a token was accepted by what is known here."""


class Verdict(msgspec.Struct, Generic[T], frozen=True):
    """What came of a question: about which token, for what, and what was said of it."""

    id_token: IdToken
    purpose: T
    info: IdTokenInfo
    online: bool
    """Whether the CSMS said so."""

    @property
    def accepted(self) -> bool:
        """Whether the token may charge."""
        return self.info.status is AuthorizationStatus.ACCEPTED


class Authorizer(Generic[T]):
    """The questions that are open. `T`: what a token is wanted for, handed back with the verdict."""

    __slots__ = ("_calls", "_checks", "_last_id", "_open", "_priced", "_unpriced", "_variables")

    def __init__(self, variables: Variables, calls: Calls, checks: tuple[LocalCheck, ...] = ()) -> None:
        self._variables = variables
        self._checks = checks
        self._calls = calls
        self._last_id = 0
        self._open: dict[int, tuple[IdToken, T, Contract | None]] = {}
        self._priced: set[str] = set()
        """Tokens being asked about whose price has come already."""
        self._unpriced: list[tuple[float, Verdict[T]]] = []
        """Verdicts that wait for a price, with when they wait no longer, on the protocol's clock."""

    def known(self, id_token: IdToken, at: datetime) -> IdTokenInfo | None:
        """What the station itself knows of a token; None: nothing."""
        found = self._find(id_token, at)
        return None if found is None else found[1]

    def ask(self, id_token: IdToken, purpose: T, turn: Turn, contract: Contract | None = None) -> Verdict[T] | None:
        """May this token charge? None: the CSMS was asked, and `answered` or `failed` brings the verdict."""
        if not self._calls.online:
            return Verdict(id_token, purpose, self._alone(id_token, contract, turn), online=False)
        found = None if contract is not None else self._find(id_token, turn.at)
        if found is not None:
            check, info = found
            accepted = info.status is AuthorizationStatus.ACCEPTED
            if self._variables.boolean(LOCAL_PRE_AUTHORIZE if accepted else check.final):
                if accepted:
                    check.used(id_token, turn)
                return Verdict(id_token, purpose, info, online=False)
        self._last_id += 1
        self._open[self._last_id] = (id_token, purpose, contract)
        purpose_of_call = ForToken(self._last_id, id_token)
        request = Authorize(id_token=id_token)
        if contract is not None:
            request = Authorize(id_token=id_token, certificate=contract.certificate, certificate_hashes=contract.hashes)
        self._calls.send(request, purpose_of_call, turn, Urgency.DRIVER_WAITS)
        return None

    def is_open(self, id_token: IdToken) -> bool:
        """Whether the CSMS is being asked about this token, or for its price."""
        waiting = any(verdict.id_token.key == id_token.key for _, verdict in self._unpriced)
        return waiting or self._is_asked(id_token)

    def answered(self, attempt_id: int, info: IdTokenInfo, turn: Turn) -> Verdict[T] | None:
        """The CSMS has answered. None: the verdict waits for the price."""
        question = self._open.pop(attempt_id, None)
        if question is None:
            return None
        verdict = Verdict(question[0], question[1], info, online=True)
        priced = verdict.id_token.key in self._priced
        if not self._is_asked(verdict.id_token):
            self._priced.discard(verdict.id_token.key)
        patience_s = self._variables.integer(PRICE_PATIENCE_MS) / 1000
        if priced or not verdict.accepted or not patience_s or not self._variables.boolean(COSTS_SHOWN):
            return verdict
        self._unpriced.append((turn.now.protocol_s + patience_s, verdict))
        return None

    def price_came(self, id_token: IdToken) -> list[Verdict[T]]:
        """The CSMS has said what this token pays: the verdicts that have waited for it."""
        if self._is_asked(id_token):
            self._priced.add(id_token.key)
        return self._release(lambda _, verdict: verdict.id_token.key == id_token.key)

    def unpriced(self, turn: Turn) -> list[Verdict[T]]:
        """The verdicts that have waited long enough for a price, or that none can come for any more."""
        now_s = turn.now.protocol_s
        return self._release(lambda until_s, _: now_s >= until_s or not self._calls.connected)

    def next_deadline_s(self) -> float | None:
        """When a verdict waits no longer, on the protocol's clock."""
        return min((until_s for until_s, _ in self._unpriced), default=None)

    def failed(self, attempt_id: int, turn: Turn) -> Verdict[T] | None:
        """The CSMS has not answered."""
        question = self._open.pop(attempt_id, None)
        if question is None:
            return None
        id_token, purpose, contract = question
        if not self._is_asked(id_token):
            self._priced.discard(id_token.key)
        return Verdict(id_token, purpose, self._alone(id_token, contract, turn), online=False)

    def _is_asked(self, id_token: IdToken) -> bool:
        return any(token.key == id_token.key for token, _, _ in self._open.values())

    def _release(self, due: Callable[[float, Verdict[T]], bool]) -> list[Verdict[T]]:
        released = [verdict for until_s, verdict in self._unpriced if due(until_s, verdict)]
        self._unpriced = [entry for entry in self._unpriced if not due(*entry)]
        return released

    def _find(self, id_token: IdToken, at: datetime) -> tuple[LocalCheck, IdTokenInfo] | None:
        for check in self._checks:
            info = check.info(id_token, at)
            if info is not None:
                return check, info
        return None

    def _alone(self, id_token: IdToken, contract: Contract | None, turn: Turn) -> IdTokenInfo:
        """The verdict without the CSMS."""
        if contract is not None and not (contract.valid and self._variables.boolean(OFFLINE_VALIDATION)):
            return IdTokenInfo(status=AuthorizationStatus.INVALID)
        return self._offline(id_token, turn)

    def _offline(self, id_token: IdToken, turn: Turn) -> IdTokenInfo:
        """What a token is worth while the CSMS can't be asked."""
        found = self._find(id_token, turn.at)
        if found is not None:
            check, info = found
            if info.status is not AuthorizationStatus.ACCEPTED:
                return info
            if self._variables.boolean(LOCAL_AUTHORIZE_OFFLINE):
                check.used(id_token, turn)
                return info
        allowed = self._variables.boolean(OFFLINE_TX_FOR_UNKNOWN_ID)
        return IdTokenInfo(status=AuthorizationStatus.ACCEPTED if allowed else AuthorizationStatus.UNKNOWN)
