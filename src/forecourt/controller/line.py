"""One EVSE as the controller deals with it: its books, its transaction, and how it is being spoken to."""

import math

from forecourt.controller.conduct import Conduct
from forecourt.controller.ledger import Account
from forecourt.controller.rotation import Rotation
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.wording import Form
from forecourt.domain.composite import ActiveTransaction
from forecourt.domain.site import EvsePoint
from forecourt.domain.transaction import ChargingState
from forecourt.quantities import Phase


class Line:
    """See the module. Times on the protocol's clock unless they say otherwise."""

    def __init__(self, point: EvsePoint, settings: ControllerSettings) -> None:
        self.point = point
        self.account = Account(point, settle_s=settings.settle_s, grace_s=settings.lease_grace_s)
        self.conduct = Conduct(self.account, settings)
        self.assumed = False
        """Whether its books rest on what the installer says, as its station has never connected."""
        self.transaction: ActiveTransaction | None = None
        """With its id as the CSMS knows it, once it does."""
        self.rotation = Rotation()
        """What is known of its lines where the site's file doesn't say."""
        self.target_a = point.fallback_a
        """What was decided last."""

        self.ready = False
        """Whether its station is connected and registered."""
        self.leaving = False
        """Whether its station is about to be cut off: it gets its fallback, and nothing else."""
        self.open_token: int | None = None
        """The request for a limit that is not answered yet: one at a time."""
        self.said_s = 0.0
        """When it was last told a limit (elapsed)."""
        self.retry_at_s = 0.0
        self.evidence_asked_s: float | None = None
        """When a reading was last asked for because evidence was wanted (elapsed)."""
        self.unseen = 0
        """How often in a row that brought none."""
        self.poll_s: float | None = None
        """How often to ask for a reading while it charges; None: it reports by itself."""
        self.polled_s = -math.inf
        """When a reading was last asked for (elapsed)."""
        self.question: int | None = None
        """The request for a reading that is not answered yet: one at a time."""

        self.stop_asked: str | None = None
        """The transaction that it was asked to end, because it could not be limited."""
        self.distrusted = False
        """Whether it would not be limited nor stopped: its hardware's maximum counts."""
        self.probing = False
        """Whether it is being commissioned: then nobody else says anything."""

        self.takes: tuple[Form, ...] = ()
        """Forms of base limit that commissioning has found to be taken; they are tried first."""
        self.over_a = 0.0
        """How much more than its limit it draws, as commissioning has found."""
        self.leases = True
        """Whether the ends of leases are obeyed: False where commissioning has found otherwise."""
        self.keeps_base = True
        """Whether its base limit outlives a restart, likewise."""
        self.form = 0
        """Which form of base limit the station takes."""
        self.binds = settings.transaction_profiles
        """Whether it takes limits bound to a transaction."""
        self.form_taken = False
        """Whether it has taken that form before: then one refusal is no reason to leave it."""
        self.refusals = 0

    @property
    def charges(self) -> bool:
        """Whether its car may be drawing, as far as the station tells."""
        account = self.account
        told = account.charging_state in (None, ChargingState.CHARGING)
        return account.in_transaction and account.occupied is not False and told

    @property
    def first_line(self) -> Phase | None:
        """The site's line of its first phase, where that had to be learned and has been."""
        return self.rotation.first_line

    @property
    def bound_to(self) -> str | None:
        """The transaction that a limit would be bound to; None where the base has to be changed."""
        return self.transaction.transaction_id if self.binds and self.transaction is not None else None
