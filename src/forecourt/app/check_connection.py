"""Checks of how a charger connects, who it says it is, and what time it tells."""

from forecourt.app.check_bench import Bench, text_of
from forecourt.app.check_findings import Check, Finding, Within, Words, judged, unseen
from forecourt.csms.records import Direction


class Subprotocol(Check, frozen=True, kw_only=True):
    """The WebSocket subprotocol that was agreed on is one of these."""

    any_of: Words

    async def look(self, bench: Bench) -> Finding:
        shake = bench.handshake
        if shake is None:
            return unseen("no handshake")
        return judged(shake.subprotocol in self.any_of, f"{shake.subprotocol} was agreed on", (shake.text(),))


class Encrypted(Check, frozen=True, kw_only=True):
    """It connects by TLS."""

    async def look(self, bench: Bench) -> Finding:
        shake = bench.handshake
        if shake is None:
            return unseen("no handshake")
        said = "it connected by wss" if shake.tls_version is not None else "it connected by ws, without TLS"
        return judged(shake.tls_version is not None, said, (shake.text(),))


class TlsVersion(Check, frozen=True, kw_only=True):
    """The version of TLS is one of these."""

    any_of: Words

    async def look(self, bench: Bench) -> Finding:
        shake = bench.handshake
        if shake is None:
            return unseen("no handshake")
        said = shake.tls_version or "there was no TLS"
        return judged(shake.tls_version in self.any_of, said, (shake.text(),))


class TlsCipher(Check, frozen=True, kw_only=True):
    """The cipher suite is one of the list's `tls_suites`."""

    async def look(self, bench: Bench) -> Finding:
        shake = bench.handshake
        if shake is None:
            return unseen("no handshake")
        said = shake.tls_cipher or "there was no TLS"
        return judged(shake.tls_cipher in bench.suites, said, (shake.text(),))


class Authentication(Check, frozen=True, kw_only=True):
    """It shows who it is: a password, or a certificate."""

    async def look(self, bench: Bench) -> Finding:
        shake = bench.handshake
        if shake is None:
            return unseen("no handshake")
        if shake.certificate:
            return judged(True, "it showed a client certificate", (shake.text(),))
        if shake.user is None:
            return judged(False, "it showed neither a password nor a certificate", (shake.text(),))
        if shake.user != shake.identity:
            return judged(False, f"its user name {shake.user!r} is not its identity", (shake.text(),))
        if shake.password_right is False:
            return judged(False, "its password is not the one that was expected", (shake.text(),))
        said = "Basic Auth" if shake.password_right is None else "Basic Auth, with the right password"
        return judged(True, said, (shake.text(),))


class BootFields(Check, frozen=True, kw_only=True):
    """Its boot notification says these, by the fields of a station's identity."""

    needed: Words
    within_s: Within = 30.0

    async def look(self, bench: Bench) -> Finding:
        station = await bench.until(bench.booted, self.within_s)
        frame = None if station is None else await bench.heard(("BootNotification",))
        if station is None or station.identity is None:
            return unseen("it did not boot")
        missing = [name for name in self.needed if not getattr(station.identity, name, None)]
        said = (
            f"without {', '.join(missing)}" if missing else f"{station.identity.vendor_name} {station.identity.model}"
        )
        return judged(not missing, said, () if frame is None else (text_of(frame),))


class ClockRight(Check, frozen=True, kw_only=True):
    """The times that it tells are right."""

    within_s: Within = 60.0

    async def look(self, bench: Bench) -> Finding:
        station = await bench.booted()
        if station is None or station.clock_drift_s is None:
            return unseen("it told no time")
        drift_s = station.clock_drift_s
        frames = [one for one in await bench.frames(direction=Direction.IN) if b'"timestamp"' in one.frame]
        said = f"{abs(drift_s):.1f} s {'ahead of' if drift_s > 0 else 'behind'} ours"
        return judged(abs(drift_s) <= self.within_s, said, tuple(text_of(one) for one in frames[-1:]))
