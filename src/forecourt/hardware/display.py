"""A display without a screen: what the station shows of prices and costs, to look at.

Guarantees
* Each place shows what was said of it last: each EVSE, each token that no EVSE is known of yet, and everybody.
"""

from forecourt.station.effects import PriceSubject, ShowPrices


class SimulatedDisplay:
    """A `station.ports.Display`."""

    def __init__(self) -> None:
        self.default: ShowPrices | None = None
        self.evses: dict[int, ShowPrices] = {}
        self.tokens: dict[str, ShowPrices] = {}

    def show(self, shown: ShowPrices) -> None:
        """From now on."""
        if shown.about is PriceSubject.DEFAULT_PRICE:
            self.default = shown
        elif shown.evse_id is not None:
            self.evses[shown.evse_id] = shown
            if shown.id_token is not None:
                self.tokens.pop(shown.id_token.key, None)
        elif shown.id_token is not None:
            self.tokens = {shown.id_token.key: shown}  # there is one reader, and whoever stands in front of it

    def clear(self, evse_id: int) -> None:
        """Somebody else is there."""
        self.evses.pop(evse_id, None)
