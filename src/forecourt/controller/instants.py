"""When something about one EVSE changes though nothing happens: leases end, cars have had their time, readings are due.

Guarantees
* Every instant at which a decision would come out differently by the mere passing of time is among them; one that has
  passed, or never comes, may be as well.
"""

from forecourt.controller.issuer import Issuer
from forecourt.controller.line import Line
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.clock import Now


def instants(line: Line, issuer: Issuer, settings: ControllerSettings, now: Now) -> list[float]:
    """On the clock of `Now.elapsed_s`."""
    account = line.account
    found = [
        instant_s
        for limit in (account.confirmed, account.unproven, *account.uncertain)
        if limit is not None
        for instant_s in (
            issuer.ends_s(line, limit) - settings.lease_s / 2,
            limit.lease_until_s,
            account.lapses_s(limit),
        )
    ]
    if (settles_s := account.settled_s()) is not None:
        found.append(settles_s)
    if (conduct_s := line.conduct.next_s(now)) is not None:
        found.append(conduct_s)
    if account.paused_since_s is not None:
        found.append(account.paused_since_s + settings.pause_s)
    if line.ready and account.wants_evidence(now):
        found.append((line.evidence_asked_s or now.elapsed_s) + settings.evidence_s)
    if line.ready and line.poll_s is not None and line.charges:
        found.append(max(account.measured_s, line.polled_s) + line.poll_s)
    return found
