"""Certificates of the station: asked for, answered, renewed in time.

Theory of operation. Whoever keeps certificates and keys (`ports.Security`) does the cryptography; each thing it is
asked has a reference, and what was to follow from the answer waits here under it.

Guarantees
* Every request gets its reply when the answer is there: install, delete, list (security white paper M03.FR.01 to FR.04,
  M04.FR.01 to FR.04, M05.FR.01, FR.02, FR.04),
  CertificateSigned (A02, A03), and the check of a firmware's certificate (L01.FR.23).
* A private key never comes by here (A02.FR.05).
* A certificate that does not fit is discarded, and is a security event (A02.FR.07); a change of what is trusted or
  shown is one, too (§8, ReconfigurationOfSecurityParameters).
* With security profile 3 the station looks 60 s after it was accepted, and every 12 h, whether its certificate is
  missing or about to expire, and asks for a new one (A03.FR.01, FR.02); one request at a time.
* A request that the CSMS accepted, and that no certificate follows, is made again after CertSigningWaitMinimum, then
  after twice as long, CertSigningRepeatTimes times; after that the CSMS has to ask (application note on ISO 15118 §9.3,
  §9.4; OCPP 2.0.1 A02.FR.17 to FR.19). With a wait of 0 none is made again.
* The organization of a request is CpoName; without one none is made (A02, prerequisites; A03.FR.13).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from forecourt.domain.certificate import CertificateSigningUse
from forecourt.domain.requests import RequestAnswer, RequestStatus, SignCertificate
from forecourt.station.calls import Calls, ForSigning
from forecourt.station.config import StationConfig
from forecourt.station.effects import AskSecurity, CertificateChanged, Urgency
from forecourt.station.inputs import SecurityAnswered, SecurityVerdict
from forecourt.station.security_log import SecurityEvent, SecurityLog
from forecourt.station.security_questions import AskExpiry, KeepSigned, MakeSigningRequest, SecurityQuestion
from forecourt.station.turn import Turn
from forecourt.station.variable_table import (
    CERTIFICATE_REPEATS,
    CERTIFICATE_WAIT,
    ORGANIZATION_NAME,
    SECURITY_PROFILE,
)
from forecourt.station.variables import Variables

FIRST_CHECK_S: Final = 60.0
CHECK_EVERY_S: Final = 12 * 3600.0
_WITH_CERTIFICATE: Final = 3

Continuation = Callable[[SecurityVerdict, Turn], None]
STATION: Final = CertificateSigningUse.CHARGING_STATION


class Certificates:
    """What one station has asked its security for, and when it looks after its certificate."""

    __slots__ = (
        "_again_at_s",
        "_calls",
        "_check_at_s",
        "_config",
        "_last",
        "_log",
        "_open",
        "_repeats",
        "_variables",
        "_waits_for_signature",
    )

    def __init__(self, config: StationConfig, variables: Variables, calls: Calls, security_log: SecurityLog) -> None:
        self._config = config
        self._variables = variables
        self._calls = calls
        self._log = security_log
        self._last = 0
        self._open: dict[str, Continuation] = {}
        self._check_at_s: float | None = None
        self._waits_for_signature = False
        self._again_at_s: float | None = None
        """When to make another request, unless the certificate comes."""
        self._repeats = 0

    def ask(self, question: SecurityQuestion, then: Continuation, turn: Turn) -> None:
        """Ask; `then` gets the answer."""
        self._last += 1
        reference = f"security-{self._last}"
        self._open[reference] = then
        turn.emit(AskSecurity(reference, question, turn.at))

    def answered(self, answered: SecurityAnswered, turn: Turn) -> None:
        """There is an answer."""
        then = self._open.pop(answered.reference, None)
        if then is not None:
            then(answered.verdict, turn)

    # The station's own certificate

    @property
    def can_sign(self) -> bool:
        """Whether a signing request can be made."""
        return self._config.has_security and bool(self._variables.text(ORGANIZATION_NAME))

    def request_signature(self, turn: Turn) -> None:
        """Make a key pair, and have it signed."""
        self._repeats = 0
        self._make_request(turn)

    def _make_request(self, turn: Turn) -> None:
        self._again_at_s = None
        identity = self._config.identity
        name = identity.serial_number or identity.controller_serial_number or identity.model
        question = MakeSigningRequest(STATION, name, self._variables.text(ORGANIZATION_NAME))
        self.ask(question, self._send_request, turn)

    def _send_request(self, answer: SecurityVerdict, turn: Turn) -> None:
        if answer.outcome is RequestStatus.ACCEPTED and answer.csr is not None:
            # Asked for by a trigger it may leave while Pending, but its answer of the security comes in a later turn.
            call = SignCertificate(csr=answer.csr)
            if self._calls.connected:
                self._waits_for_signature = True
                self._calls.send_anyway(call, ForSigning(STATION), turn, Urgency.ORDINARY)

    def request_answered(self, answer: object, turn: Turn) -> None:
        """The CSMS has answered SignCertificate, or not (None)."""
        accepted = isinstance(answer, RequestAnswer) and answer.outcome is RequestStatus.ACCEPTED
        if not accepted:
            self._waits_for_signature = False
            return
        wait_s = self._variables.integer(CERTIFICATE_WAIT) * 2**self._repeats
        if self._waits_for_signature and wait_s and self._repeats < self._variables.integer(CERTIFICATE_REPEATS):
            self._again_at_s = turn.now.elapsed_s + wait_s

    def keep_signed(self, use: CertificateSigningUse, chain: str, then: Continuation, turn: Turn) -> None:
        """Here is a certificate; `then` hears whether it is used from now on."""

        def kept(answer: SecurityVerdict, turn: Turn) -> None:
            then(answer, turn)
            self._waits_for_signature = False
            self._again_at_s = None
            if answer.outcome is RequestStatus.ACCEPTED:
                self.changed(turn, "the station's certificate")
                turn.emit(CertificateChanged(use))
            else:
                self._log.note(SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE, turn, answer.info)

        self.ask(KeepSigned(use, chain, self._variables.text(ORGANIZATION_NAME)), kept, turn)

    def changed(self, turn: Turn, what: str) -> None:
        """Something about what is trusted or shown is new."""
        self._log.note(SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS, turn, what)

    # Looking after it

    def accepted(self, turn: Turn) -> None:
        """The CSMS has accepted the station after its boot."""
        if self._config.has_security:
            self._check_at_s = turn.now.elapsed_s + FIRST_CHECK_S

    def next_deadline_s(self) -> float | None:
        """When to call `expire`, on the world's clock."""
        waits = [at_s for at_s in (self._check_at_s, self._again_at_s) if at_s is not None]
        return min(waits, default=None)

    def expire(self, turn: Turn) -> None:
        """Time has passed."""
        if self._again_at_s is not None and turn.now.elapsed_s >= self._again_at_s:
            self._repeats += 1
            self._make_request(turn)
        if self._check_at_s is None or turn.now.elapsed_s < self._check_at_s:
            return
        self._check_at_s = turn.now.elapsed_s + CHECK_EVERY_S
        shows_one = self._config.client_certificate or self._variables.integer(SECURITY_PROFILE) == _WITH_CERTIFICATE
        if shows_one and self.can_sign and not self._waits_for_signature:
            self.ask(AskExpiry(STATION), self._renew_if_due, turn)

    def _renew_if_due(self, answer: SecurityVerdict, turn: Turn) -> None:
        renew_at = turn.at + timedelta(seconds=self._config.renew_certificate_before_s)
        if answer.expires_at is None or answer.expires_at <= renew_at:
            self.request_signature(turn)
