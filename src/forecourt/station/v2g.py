"""The certificate that the station shows to cars (ISO 15118): asked for, renewed, and vouched for by responders.

Guarantees
* 60 s after the CSMS accepted the station with Plug & Charge on, and every 12 h, the station looks whether that
  certificate is missing or about to expire, and asks for one (application note on ISO 15118 §3.1.2; A03).
* A CSMS that refuses the request, or does not know of it, is not asked again unless it asks for it (§2.1). A request
  that it accepted, and that no certificate follows, is made again after CertSigningWaitMinimum, then after twice as
  long, CertSigningRepeatTimes times (§9.3, §9.4).
* A certificate that does not fit is discarded, and is a security event (§3.1.1; A02.FR.07).
* What responders say of those who issued it is asked for when the last answers are older than OCSPRequestInterval,
  seven days unless set, and when there is a new certificate (M06). That time is in the journal, so that a restart asks
  nothing; where an answer failed, the next look tries again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.domain.certificate import CertificateSigningUse
from forecourt.domain.requests import (
    GetCertificateStatus,
    GetCertificateStatusAnswer,
    RequestAnswer,
    RequestStatus,
    SignCertificate,
)
from forecourt.station.calls import Calls, ForOcsp, ForSigning
from forecourt.station.certificates import CHECK_EVERY_S, FIRST_CHECK_S, Certificates, Continuation
from forecourt.station.config import StationConfig
from forecourt.station.effects import Urgency
from forecourt.station.extension_variables import (
    OCSP_INTERVAL,
    PNC_ENABLED,
    SECC_ID,
    SECC_ORGANIZATION,
    V2G_INSTALLATION,
)
from forecourt.station.inputs import SecurityVerdict
from forecourt.station.security_log import SecurityEvent, SecurityLog
from forecourt.station.security_questions import AskExpiry, KeepOcsp, KeepSigned, ListIssuers, MakeSigningRequest
from forecourt.station.turn import Turn
from forecourt.station.variable_table import CERTIFICATE_REPEATS, CERTIFICATE_WAIT, ORGANIZATION_NAME
from forecourt.station.variables import Variables

SECTION: Final = "ocsp"
V2G: Final = CertificateSigningUse.V2G

_AT: Final = "at"
decode_record = msgspec.json.Decoder(datetime).decode


class V2gCertificate:
    """The station's certificate towards cars."""

    __slots__ = (
        "_again_at_s",
        "_asking",
        "_calls",
        "_certificates",
        "_check_at_s",
        "_config",
        "_failed",
        "_given_up",
        "_log",
        "_repeats",
        "_variables",
        "_waits",
        "ocsp_at",
    )

    def __init__(
        self, config: StationConfig, variables: Variables, calls: Calls, certificates: Certificates, log: SecurityLog
    ) -> None:
        self._config = config
        self._variables = variables
        self._calls = calls
        self._certificates = certificates
        self._log = log
        self._check_at_s: float | None = None
        self._again_at_s: float | None = None
        self._repeats = 0
        self._waits = False
        self._given_up = False
        """The CSMS has refused: it has to ask."""
        self._asking = 0
        """How many answers of responders are still to come."""
        self._failed = False
        self.ocsp_at: datetime | None = None
        """When the last answers of responders came."""

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take over what the journal holds."""
        if _AT in kept:
            self.ocsp_at = decode_record(kept[_AT])

    @property
    def enabled(self) -> bool:
        """Whether cars are shown a certificate at all."""
        return self._config.has_security and self._variables.boolean(PNC_ENABLED)

    @property
    def can_sign(self) -> bool:
        """Whether a signing request can be made."""
        return self.enabled and bool(self._organization)

    # Asked for

    def request_signature(self, turn: Turn) -> None:
        """Make a key pair, and have it signed."""
        self._repeats = 0
        self._given_up = False
        self._make_request(turn)

    def answered(self, answer: object, turn: Turn) -> None:
        """The CSMS has answered SignCertificate, or not (None)."""
        accepted = isinstance(answer, RequestAnswer) and answer.outcome is RequestStatus.ACCEPTED
        if not accepted:
            self._waits = False
            self._given_up = answer is not None  # §2.1; one that was lost is made again at the next look
            return
        wait_s = self._variables.integer(CERTIFICATE_WAIT) * 2**self._repeats
        if self._waits and wait_s and self._repeats < self._variables.integer(CERTIFICATE_REPEATS):
            self._again_at_s = turn.now.elapsed_s + wait_s

    def keep_signed(self, chain: str, then: Continuation, turn: Turn) -> None:
        """Here is a certificate; `then` hears whether it is shown from now on."""

        def kept(verdict: SecurityVerdict, turn: Turn) -> None:
            then(verdict, turn)
            if verdict.outcome is not RequestStatus.ACCEPTED:
                self._log.note(SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE, turn, verdict.info)
                return
            self._waits = False
            self._again_at_s = None
            self._certificates.changed(turn, "the station's certificate towards cars")
            self._ask_responders(turn)

        self._certificates.ask(KeepSigned(V2G, chain, self._organization), kept, turn)

    @property
    def _organization(self) -> str:
        return self._variables.text(SECC_ORGANIZATION) or self._variables.text(ORGANIZATION_NAME)

    def _make_request(self, turn: Turn) -> None:
        self._again_at_s = None
        identity = self._config.identity
        serial = identity.serial_number or identity.controller_serial_number or identity.model
        question = MakeSigningRequest(V2G, self._variables.text(SECC_ID) or serial, self._organization)
        self._certificates.ask(question, self._send_request, turn)

    def _send_request(self, verdict: SecurityVerdict, turn: Turn) -> None:
        if verdict.outcome is RequestStatus.ACCEPTED and verdict.csr is not None and self._calls.connected:
            self._waits = True
            request = SignCertificate(csr=verdict.csr, use=V2G)
            self._calls.send_anyway(request, ForSigning(V2G), turn, Urgency.ORDINARY)

    # Looked after

    def update(self, turn: Turn) -> None:
        """See to it that somebody looks, while there is something to look after."""
        if not self.enabled:
            self._check_at_s = self._again_at_s = None
        elif self._check_at_s is None and self._calls.accepted:
            self._check_at_s = turn.now.elapsed_s + FIRST_CHECK_S

    def next_deadline_s(self) -> float | None:
        """When to call `expire`, on the world's clock."""
        return min((at for at in (self._check_at_s, self._again_at_s) if at is not None), default=None)

    def expire(self, turn: Turn) -> None:
        """Time has passed."""
        if self._again_at_s is not None and turn.now.elapsed_s >= self._again_at_s:
            self._repeats += 1
            self._make_request(turn)
        if self._check_at_s is None or turn.now.elapsed_s < self._check_at_s:
            return
        self._check_at_s = turn.now.elapsed_s + CHECK_EVERY_S
        if self._variables.boolean(V2G_INSTALLATION) and self.can_sign and not self._waits and not self._given_up:
            self._certificates.ask(AskExpiry(V2G), self._renew_if_due, turn)
        interval = timedelta(seconds=self._variables.integer(OCSP_INTERVAL))
        if self.ocsp_at is None or turn.at >= self.ocsp_at + interval:
            self._ask_responders(turn)
        elif self.ocsp_at > turn.at + interval:
            self._ask_responders(turn)  # the clock was wrong then
        else:
            wait_s = (self.ocsp_at + interval - turn.at).total_seconds()
            self._check_at_s = turn.now.elapsed_s + min(CHECK_EVERY_S, wait_s)

    def _renew_if_due(self, verdict: SecurityVerdict, turn: Turn) -> None:
        renew_at = turn.at + timedelta(seconds=self._config.renew_certificate_before_s)
        if verdict.expires_at is None or verdict.expires_at <= renew_at:
            self.request_signature(turn)

    # Vouched for

    def _ask_responders(self, turn: Turn) -> None:
        if self._asking == 0:
            self._certificates.ask(ListIssuers(), self._issuers, turn)

    def _issuers(self, verdict: SecurityVerdict, turn: Turn) -> None:
        if self._asking or not self._calls.online:
            return
        self._failed = False
        self._asking = len(verdict.queries)
        for query in verdict.queries:
            self._calls.send(GetCertificateStatus(query=query), ForOcsp(query), turn)

    def status_answered(self, purpose: ForOcsp, answer: object, turn: Turn) -> None:
        """The CSMS has answered about one of them, or not (None)."""
        if not isinstance(answer, GetCertificateStatusAnswer) or answer.outcome is not RequestStatus.ACCEPTED:
            self._settled(turn, failed=True)
            return

        def kept(verdict: SecurityVerdict, turn: Turn) -> None:
            self._settled(turn, failed=verdict.outcome is not RequestStatus.ACCEPTED)

        self._certificates.ask(KeepOcsp(purpose.query.certificate, answer.ocsp_result or ""), kept, turn)

    def _settled(self, turn: Turn, *, failed: bool) -> None:
        self._asking = max(0, self._asking - 1)
        self._failed = self._failed or failed
        if self._asking == 0 and not self._failed:
            self.ocsp_at = turn.at
            turn.put(SECTION, _AT, turn.at)
