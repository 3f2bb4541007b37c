"""Charging by contract (ISO 15118 Plug & Charge): a car shows its contract instead of a driver a card, and gets its
contract's certificate through the station.

Guarantees
* A contract is validated here first. One that is not valid is refused, and nobody is asked. Of a valid one the CSMS
  gets what a responder can be asked about it; one that no installed root speaks for goes to the CSMS as it is, if
  CentralContractValidationAllowed says so, and is refused otherwise (application note on ISO 15118 §5; C07.FR.06).
* Offline, no contract counts unless ContractValidationOffline is set and it was found valid here (§5).
* A car that is charging, or has been authorized otherwise, is not asked for a contract: it changes nothing.
* What a car wants about its contract's certificate is passed on unread, and it always gets an answer, if an empty one
  (M01, M02).
"""

from forecourt.domain.requests import Get15118EVCertificate, Get15118EVCertificateAnswer, RequestStatus
from forecourt.domain.token import IdToken, IdTokenType
from forecourt.station.authorization import Contract
from forecourt.station.calls import Calls, ForEvCertificate
from forecourt.station.certificates import Certificates
from forecourt.station.config import StationConfig
from forecourt.station.effects import GiveEvCertificate, TokenAnswered, Urgency
from forecourt.station.evse import Evse
from forecourt.station.extension_variables import (
    CENTRAL_VALIDATION,
    CONTRACT_INSTALLATION,
    OFFLINE_VALIDATION,
    PNC_ENABLED,
)
from forecourt.station.inputs import ContractPresented, EvCertificateWanted, SecurityVerdict
from forecourt.station.security_questions import CheckContract
from forecourt.station.sessions import Sessions
from forecourt.station.turn import Turn
from forecourt.station.variables import Variables

_MOST_HASHES = 4
_LONGEST_CHAIN = 5500


class Contracts:
    """The contracts that cars show to one station."""

    __slots__ = ("_calls", "_certificates", "_config", "_sessions", "_variables")

    def __init__(
        self, config: StationConfig, variables: Variables, calls: Calls, certificates: Certificates, sessions: Sessions
    ) -> None:
        self._config = config
        self._variables = variables
        self._calls = calls
        self._certificates = certificates
        self._sessions = sessions

    @property
    def enabled(self) -> bool:
        """Whether anybody charges by contract here."""
        return self._config.has_security and self._variables.boolean(PNC_ENABLED)

    def presented(self, evse: Evse, shown: ContractPresented, turn: Turn) -> None:
        """A car shows a contract."""
        id_token = IdToken(shown.emaid.replace("-", ""), IdTokenType.EMAID)
        if evse.transaction is not None or evse.authorization is not None:
            return
        if not self.enabled:
            _refuse(evse, id_token, "charging by contract is switched off", turn)
            return

        def checked(verdict: SecurityVerdict, turn: Turn) -> None:
            self._checked(evse, id_token, shown.chain, verdict, turn)

        self._certificates.ask(CheckContract(id_token, shown.chain), checked, turn)

    def _checked(self, evse: Evse, id_token: IdToken, chain: str, verdict: SecurityVerdict, turn: Turn) -> None:
        valid = verdict.outcome is RequestStatus.ACCEPTED
        hashes = verdict.queries[:_MOST_HASHES]
        contract = Contract(hashes=hashes, valid=True)
        if not self._calls.online:
            if not self._variables.boolean(OFFLINE_VALIDATION):
                _refuse(evse, id_token, "the contract can't be validated offline", turn)
                return
        elif verdict.outcome is RequestStatus.NOT_FOUND and self._may_pass_on(chain):
            contract, valid = Contract(certificate=chain, hashes=hashes), True
        if not valid:
            _refuse(evse, id_token, verdict.info or "the contract can't be validated", turn)
            return
        self._sessions.present_contract(evse, id_token, contract, turn)

    def _may_pass_on(self, chain: str) -> bool:
        return self._variables.boolean(CENTRAL_VALIDATION) and len(chain) <= _LONGEST_CHAIN

    # Its certificate

    def wanted(self, wanted: EvCertificateWanted, turn: Turn) -> None:
        """A car wants something about its contract's certificate."""
        request = Get15118EVCertificate(
            schema_version=wanted.schema_version, action=wanted.action, exi_request=wanted.exi_request
        )
        allowed = self.enabled and self._variables.boolean(CONTRACT_INSTALLATION) and self._calls.online
        purpose = ForEvCertificate(wanted.evse_id)
        if not allowed or not self._calls.send(request, purpose, turn, Urgency.DRIVER_WAITS):
            turn.emit(GiveEvCertificate(wanted.evse_id, None))

    def answered(self, purpose: ForEvCertificate, answer: object, turn: Turn) -> None:
        """The CSMS has answered, or not (None)."""
        given = None
        if isinstance(answer, Get15118EVCertificateAnswer) and answer.outcome is RequestStatus.ACCEPTED:
            given = answer.exi_response
        turn.emit(GiveEvCertificate(purpose.evse_id, given))


def _refuse(evse: Evse, id_token: IdToken, reason: str, turn: Turn) -> None:
    turn.emit(TokenAnswered(id_token, accepted=False, evse_id=evse.evse_id, reason=reason))
