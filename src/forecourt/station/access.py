"""How the station shows itself to the CSMS: under which security profile, and with which password.

Theory of operation. SecurityProfile and the password are variables; `ConnectWith` says what they are to whoever
connects. A new value is on trial until a connection comes up with it; what worked last is in the journal until then.
When all addresses have failed (`ConnectionsFailed`), it is the other one's turn.

Guarantees
* One profile at a time, settled before anything is said, and no message lowers it (security white paper A00.FR.001,
  FR.004, FR.005).
* A profile that is not higher than the present one is Rejected (security white paper A05.FR.01); so is 1 or 2 without a
  password of 16 octets (FR.02), 2 or 3 without a valid root of the CSMS (FR.03), 3 without a valid certificate of the
  station (FR.04), and one that there is no address for. Nothing is changed then. Otherwise the reply is Accepted, and
  then the station connects anew (FR.05 to FR.07).
* What doesn't connect is given up for what worked last, and the variables say so (FR.08); a power cut in between
  changes nothing of this.
* A new password of 16 to 40 characters (AuthorizationKey §7.2) is used from the next connection on, which follows the
  reply (A01); the old one is kept until the new one has worked.
* Each change is in the security log, none with a password (A01.FR.11, A01.FR.12).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from forecourt.domain.requests import RequestStatus
from forecourt.domain.station import Capabilities
from forecourt.domain.variable import VariableRef, VariableSetting
from forecourt.station.certificates import Certificates
from forecourt.station.config import StationConfig
from forecourt.station.effects import ConnectWith
from forecourt.station.inputs import SecurityVerdict
from forecourt.station.security_questions import CheckProfile
from forecourt.station.turn import Turn
from forecourt.station.variable_table import BASIC_AUTH_PASSWORD, SECURITY_PROFILE
from forecourt.station.variables import Variables, same_variable

SECTION: Final = "access"
_PROVEN: Final = "proven"

SHORTEST_PASSWORD: Final = 16
_LONGEST_PASSWORD: Final = 64
_LONGEST_HEXADECIMAL: Final = 40
"""Characters of AuthorizationKey, where the protocol has that name for it."""
_WITH_PASSWORD: Final = frozenset({1, 2})
_LEAST_WITH_TLS: Final = 2

Refusals = Mapping[VariableRef, str]
"""Why a variable can't have the value that it was to be given."""


class Credentials(msgspec.Struct, frozen=True):
    """What a connection is made with."""

    profile: int
    password: str

    def __repr__(self) -> str:
        return f"Credentials(profile={self.profile})"

    def differ_from(self, other: "Credentials") -> bool:
        """Whether a connection made with these is another one."""
        password = self.profile in _WITH_PASSWORD and self.password != other.password
        return self.profile != other.profile or password


decode_record = msgspec.json.Decoder(Credentials).decode


class Access:
    """The credentials of one station."""

    __slots__ = ("_capabilities", "_certificates", "_config", "_in_use", "_proven", "_variables")

    def __init__(
        self, config: StationConfig, capabilities: Capabilities, variables: Variables, certificates: Certificates
    ) -> None:
        self._config = config
        self._capabilities = capabilities
        self._variables = variables
        self._certificates = certificates
        self._proven: Credentials | None = None
        """What worked last, while something else is on trial."""
        self._in_use = Credentials(0, "")

    def restore(self, kept: Mapping[str, bytes], turn: Turn) -> None:
        """Go on with what the journal knows."""
        if _PROVEN in kept:
            self._proven = decode_record(kept[_PROVEN])
        self._use(self._wanted(), turn)

    @property
    def on_trial(self) -> bool:
        """Whether the latest values have not connected yet."""
        return self._proven is not None

    # What a CSMS asks

    def judge(self, settings: Iterable[VariableSetting], then: Callable[[Refusals, Turn], None], turn: Turn) -> None:
        """Look at what is to be set before it is; `then` hears what can't be, now or when security has answered."""
        refusals: dict[VariableRef, str] = {}
        password = self._variables.text(BASIC_AUTH_PASSWORD)
        asked: VariableSetting | None = None
        for setting in settings:
            if same_variable(setting.ref, BASIC_AUTH_PASSWORD):
                if (wrong := self._wrong_password(setting.value.strip())) is not None:
                    refusals[setting.ref] = wrong
                else:
                    password = setting.value.strip()
            elif same_variable(setting.ref, SECURITY_PROFILE):
                asked = setting
        if asked is None:
            then(refusals, turn)
            return
        wanted = asked
        if (wrong := self._wrong_profile(wanted.value.strip(), password)) is not None:
            then({**refusals, wanted.ref: wrong}, turn)
            return

        def checked(answer: SecurityVerdict, turn: Turn) -> None:
            if answer.outcome is not RequestStatus.ACCEPTED:
                refusals[wanted.ref] = answer.info or "something is missing for it"
            then(refusals, turn)

        profile = int(wanted.value)
        if profile >= _LEAST_WITH_TLS:
            self._certificates.ask(CheckProfile(profile), checked, turn)
        else:
            then(refusals, turn)

    def changed(self, turn: Turn) -> None:
        """Variables have been set: connect anew, if that makes a difference."""
        before, wanted = self._in_use, self._wanted()
        if wanted.profile != before.profile:
            self._certificates.changed(turn, f"security profile {wanted.profile}")
        if wanted.password != before.password:
            self._certificates.changed(turn, "a new password")
        if not wanted.differ_from(before):
            self._in_use = wanted
            return
        if self._proven is None:
            self._proven = before
            turn.put(SECTION, _PROVEN, before)
        self._use(wanted, turn)

    def _wrong_password(self, password: str) -> str | None:
        longest = _LONGEST_HEXADECIMAL if self._capabilities.security_extension else _LONGEST_PASSWORD
        if not self._config.security_profiles:
            return "this station can't change it"
        if not SHORTEST_PASSWORD <= len(password) <= longest:
            return f"expected {SHORTEST_PASSWORD} to {longest} characters"
        return None if password.isprintable() else "expected characters that can be written"

    def _wrong_profile(self, profile: str, password: str) -> str | None:
        if not self._capabilities.security_extension:
            return "read-only"
        if profile not in {"0", "1", "2", "3"}:
            return "expected 0 to 3"
        wanted = int(profile)
        if wanted <= self._variables.integer(SECURITY_PROFILE):
            return "only a higher one can be set"
        if wanted not in self._config.security_profiles:
            return "there is no address for it"
        if wanted in _WITH_PASSWORD and len(password) < SHORTEST_PASSWORD:
            return "AuthorizationKey is missing or too short"
        if wanted >= _LEAST_WITH_TLS and not self._config.has_security:
            return "this station keeps no certificates"
        return None

    # How it went

    def connected(self, turn: Turn) -> None:
        """There is a connection: what it was made with is proven."""
        if self._proven is None:
            return
        if self._in_use == self._proven:
            self._certificates.changed(turn, f"back to what connected before: security profile {self._in_use.profile}")
            self._variables.assign(SECURITY_PROFILE, str(self._in_use.profile), turn)
            self._variables.assign(BASIC_AUTH_PASSWORD, self._in_use.password, turn)
        self._proven = None
        turn.delete(SECTION, _PROVEN)

    def failed(self, turn: Turn) -> None:
        """Nothing could be reached with these: try the others, if there are any."""
        if self._proven is not None:
            self._use(self._wanted() if self._in_use == self._proven else self._proven, turn)

    def _use(self, credentials: Credentials, turn: Turn) -> None:
        self._in_use = credentials
        turn.emit(ConnectWith(credentials.profile, credentials.password))

    def _wanted(self) -> Credentials:
        variables = self._variables
        return Credentials(variables.integer(SECURITY_PROFILE), variables.text(BASIC_AUTH_PASSWORD))
