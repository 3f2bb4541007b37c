"""Which of the CSMS's addresses the next attempt to connect goes to.

Guarantees
* Addresses stand in order of preference. After `attempts` failures at one it is the next one's turn, without a wait of
  its own; after the last the first (OCPP 2.0.1 B10, NetworkProfileConnectionAttempts).
* `failed` says when all of them have had their turn.
* A lost connection is first made again where it was. `go_back` tries those that are preferred to it, once each, and
  then returns to where it came from.
* Pure.
"""


class Route:
    """A place in a list of addresses, which may change its length at any time."""

    def __init__(self, attempts: int = 3) -> None:
        self.attempts = attempts
        """How many at one address."""
        self._index = 0
        self._failures = 0
        self._tried = 0
        """Addresses given up since the last connection."""
        self._returning_to: int | None = None

    def index(self, addresses: int) -> int:
        """The place of the address to try now."""
        self._index %= max(1, addresses)
        return self._index

    def begin(self) -> None:
        """Start with the first, as if nothing had been tried."""
        self._index = self._failures = self._tried = 0
        self._returning_to = None

    def worked(self) -> None:
        """There is a connection."""
        self._failures = self._tried = 0
        self._returning_to = None

    def failed(self, addresses: int) -> tuple[bool, bool]:
        """An attempt was in vain. Whether the next goes to another address at once, and whether all had their turn."""
        if self._returning_to is not None:
            self._index += 1
            if self._index >= self._returning_to:
                self._index, self._returning_to = self._returning_to, None
            return True, False
        self._failures += 1
        if self._failures < self.attempts:
            return False, False
        self._failures = 0
        self._index = (self._index + 1) % max(1, addresses)
        self._tried += 1
        if self._tried < addresses:
            return True, False
        self._tried = 0
        return False, True

    def go_back(self) -> bool:
        """Try what is preferred to the present address. False: nothing is."""
        if self._index == 0:
            return False
        self._returning_to, self._index = self._index, 0
        self._failures = self._tried = 0
        return True
