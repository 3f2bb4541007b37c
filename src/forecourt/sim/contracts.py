"""Who issues contracts' certificates, played: for tests and the demonstration.

Guarantees
* It answers every car with the same text, and tells what it was asked.
"""

from forecourt.csms.contract_ports import ContractUnavailable
from forecourt.domain.certificate import ContractAction


class PlayedContractProvider:
    """A `csms.contract_ports.ContractProvider`. `exi_response` None: it can't be asked."""

    def __init__(self, exi_response: str | None = "Y29udHJhY3Q=") -> None:
        self.exi_response = exi_response
        self.asked: list[tuple[str, str, ContractAction, str]] = []

    async def answer(self, station_id: str, schema_version: str, action: ContractAction, exi_request: str) -> str:
        """Always the same."""
        self.asked.append((station_id, schema_version, action, exi_request))
        if self.exi_response is None:
            raise ContractUnavailable("nobody is there")
        return self.exi_response
