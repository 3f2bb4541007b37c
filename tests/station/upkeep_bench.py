"""A bench with a simulated system and a real key store behind the station, both in virtual time."""

from pathlib import Path
from typing import Any

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateUse
from forecourt.domain.clock import Now
from forecourt.domain.events import FirmwareStatusReported, LogStatusReported, SecurityEventReported
from forecourt.domain.station import Capabilities
from forecourt.hardware.contract_store import ContractKeyStore
from forecourt.hardware.simulated_system import SimulatedSystem
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.variable_table import ORGANIZATION_NAME
from tests.hardware.made_authority import MadeAuthority
from tests.station.bench import ONE, Bench, Csms

SYSTEM = (
    e.DownloadFirmware,
    e.VerifyFirmware,
    e.InstallFirmware,
    e.ConfirmFirmware,
    e.CancelFirmware,
    e.UploadLog,
    e.CancelUpload,
)


class SigningCsms(Csms):
    """Takes signing requests, too."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.signs = True

    def answer(self, call: Any, now: Now) -> Any:
        if isinstance(call, r.SignCertificate):
            self.requests.append(call.csr)
            return r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED if self.signs else r.RequestStatus.REJECTED)
        return super().answer(call, now)


class UpkeepBench(Bench):
    """`folder` None: a station that keeps no certificates."""

    def __init__(
        self,
        capabilities: Capabilities = ONE,
        *,
        folder: Path | None = None,
        system: SimulatedSystem | None = None,
        csms: Csms | None = None,
        **options: Any,
    ) -> None:
        self.system = system or SimulatedSystem()
        self.store = None if folder is None else ContractKeyStore(folder)
        variables = {ORGANIZATION_NAME: "Test", **options.pop("variables", {})}
        super().__init__(
            capabilities,
            csms=csms or SigningCsms(),
            has_system=True,
            has_security=folder is not None,
            variables=variables,
            **options,
        )

    def _perform(self, effect: e.Effect) -> list[e.Effect]:
        effects = super()._perform(effect)
        if isinstance(effect, SYSTEM):
            for news in self.system.carry_out(effect, self.now):
                effects.extend(self.station.step(news, self.now))
        elif isinstance(effect, e.AskSecurity):
            assert self.store is not None
            verdict = self.store.answer(effect.question, effect.at)
            effects.extend(self.station.step(i.SecurityAnswered(effect.reference, verdict), self.now))
        return effects

    def run(self, seconds: float) -> list[e.Effect]:
        mark = len(self.effects)
        until = self.now.elapsed_s + seconds
        while True:
            now = self.now
            deadlines = self.station.next_deadlines().earliest(self.system.next_deadlines())
            waits = [until - now.elapsed_s]
            if deadlines.elapsed_s is not None:
                waits.append(deadlines.elapsed_s - now.elapsed_s)
            if deadlines.protocol_s is not None:
                waits.append(deadlines.protocol_s - now.protocol_s)
            super().run(max(0.0, min(waits)))
            for news in self.system.advance(self.now):
                self.tell(news)
            if self.now.elapsed_s >= until:
                return self.effects[mark:]

    def reborn(self, **options: Any) -> "UpkeepBench":
        """The station after a restart: same journal, system, files and CSMS."""
        self.system.restart()
        return UpkeepBench(
            folder=None if self.store is None else self.store.folder,
            system=self.system,
            csms=self.csms,
            journal=self.journal,
            now=Now(10.0, 20.0, self.now.at),
            first_id=500,
            **options,
        )

    # What was told

    def firmware(self) -> list[str]:
        return [event.firmware_status.value for event in self.csms.told(FirmwareStatusReported)]

    def uploads(self) -> list[str]:
        return [event.upload_status.value for event in self.csms.told(LogStatusReported)]

    def security(self) -> list[str]:
        return [event.event_type for event in self.csms.told(SecurityEventReported)]

    def trusts(self, authority: MadeAuthority, use: CertificateUse) -> None:
        answer = self.ask(r.InstallCertificate(use=use, certificate=authority.root.pem))
        assert answer.outcome == "Accepted", answer
