"""Values of the domain that a version can express, for Hypothesis.

`Words` says what the versions differ in; what a version can say but not say back stands in `test_round_trip`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from forecourt.dialect.v16_contracts import IS_WRAPPED
from forecourt.dialect.v16_firmware import SECURITY_EVENTS
from forecourt.dialect.v16_keys import REFS, ref_of
from forecourt.domain import events as e
from forecourt.domain import requests as r
from forecourt.domain.certificate import (
    CertificateHash,
    CertificateSigningUse,
    CertificateUse,
    ContractAction,
    ContractStatus,
    HashAlgorithm,
    InstalledCertificate,
    OcspQuery,
)
from forecourt.domain.cost import PriceText
from forecourt.domain.firmware import FirmwareStatus, LogType, LogUploadStatus
from forecourt.domain.meter import (
    Measurand,
    MeasuredPhase,
    MeasuringPoint,
    MeterValue,
    ReadingContext,
    SampledValue,
    SignedMeterValue,
)
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    CompositePeriod,
    CompositeSchedule,
    ProfileCriteria,
    RecurrencyKind,
)
from forecourt.domain.reservation import ConnectorType, ReservationEnd
from forecourt.domain.station import (
    BootReason,
    ConnectorError,
    ConnectorStatus,
    OperationalStatus,
    RegistrationStatus,
    ResetType,
    StationIdentity,
)
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason, TriggerReason
from forecourt.domain.variable import (
    AttributeType,
    GetVariableStatus,
    Mutability,
    ReportBase,
    SetVariableStatus,
    VariableReading,
    VariableRef,
    VariableSetResult,
    VariableSetting,
)

T = TypeVar("T")

EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)
instants = st.integers(0, 10**11).map(lambda milliseconds: EPOCH + timedelta(milliseconds=milliseconds))
small = st.integers(0, 2**31 - 1)
some = st.integers(0, 9)
evse_ids = st.integers(1, 99)


def maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | strategy


def text(longest: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=longest)


def among(*members: T) -> st.SearchStrategy[T]:
    return st.sampled_from(members)


@dataclass(frozen=True)
class Words:
    """What one version has words for."""

    subprotocol: str
    token_types: tuple[IdTokenType, ...]
    authorizations: tuple[AuthorizationStatus, ...]
    reasons: tuple[StoppedReason, ...]
    measurands: tuple[Measurand, ...]
    purposes: tuple[ChargingProfilePurpose, ...]
    triggers: tuple[r.TriggeredMessage, ...]
    longest_token: int

    @property
    def newer(self) -> bool:
        return self.subprotocol != "ocpp1.6"

    @property
    def transaction_ids(self) -> st.SearchStrategy[str]:
        return text(36) if self.newer else small.map(str)

    # Small things

    @property
    def tokens(self) -> st.SearchStrategy[IdToken]:
        return st.builds(IdToken, text(self.longest_token), st.sampled_from(self.token_types))

    @property
    def token_infos(self) -> st.SearchStrategy[IdTokenInfo]:
        more: dict[str, Any] = {}
        if self.newer:
            more = {"evse_ids": st.lists(evse_ids, max_size=2).map(tuple), "charging_priority": st.integers(-9, 9)}
        return st.builds(
            IdTokenInfo,
            status=st.sampled_from(self.authorizations),
            expires_at=maybe(instants),
            group_id_token=maybe(self.tokens),
            **more,
        )

    @property
    def samples(self) -> st.SearchStrategy[SampledValue]:
        numbers = st.integers(-(10**12), 10**12).map(lambda thousandths: thousandths / 1000)
        signed = st.builds(SignedMeterValue, text(60), text(50), text(50), text(60))
        common = (
            st.sampled_from(self.measurands),
            maybe(st.sampled_from(MeasuredPhase)),
            st.sampled_from(ReadingContext),
            st.sampled_from(MeasuringPoint),
        )
        if self.newer:
            return st.builds(SampledValue, numbers, *common, maybe(signed))
        verbatim = st.builds(SignedMeterValue, text(60))
        return st.builds(SampledValue, numbers, *common) | st.builds(
            SampledValue, st.none(), *common, signed | verbatim
        )

    @property
    def meter_values(self) -> st.SearchStrategy[tuple[MeterValue, ...]]:
        value = st.builds(MeterValue, instants, st.lists(self.samples, min_size=1, max_size=3).map(tuple))
        return st.lists(value, min_size=1, max_size=2).map(tuple)

    def registers(self, at: datetime, context: ReadingContext) -> st.SearchStrategy[tuple[MeterValue, ...]]:
        """The one reading of a transaction's start or end that 1.6 always has."""
        return small.map(lambda wh: (MeterValue(at, (SampledValue(float(wh), context=context),)),))

    # Charging profiles

    @property
    def profiles(self) -> st.SearchStrategy[ChargingProfile]:
        tenths = st.integers(0, 10**6).map(lambda number: number / 10)
        phases = maybe(st.integers(1, 3))
        period = st.builds(ChargingSchedulePeriod, small, tenths, phases, phases if self.newer else st.none())
        schedule = st.builds(
            ChargingSchedule,
            rate_unit=st.sampled_from(ChargingRateUnit),
            periods=st.lists(period, min_size=1, max_size=3).map(tuple),
            id=small if self.newer else st.just(0),
            start_schedule=maybe(instants),
            duration_s=maybe(small),
            min_charging_rate=maybe(tenths),
        )
        return st.builds(
            ChargingProfile,
            id=small,
            stack_level=some,
            purpose=st.sampled_from(self.purposes),
            kind=among(ChargingProfileKind.ABSOLUTE, ChargingProfileKind.RECURRING, ChargingProfileKind.RELATIVE),
            schedules=st.lists(schedule, min_size=1, max_size=3 if self.newer else 1).map(tuple),
            recurrency_kind=maybe(st.sampled_from(RecurrencyKind)),
            valid_from=maybe(instants),
            valid_to=maybe(instants),
            transaction_id=maybe(self.transaction_ids),
        )

    @property
    def composites(self) -> st.SearchStrategy[CompositeSchedule]:
        tenths = st.integers(0, 10**6).map(lambda number: number / 10)
        period = st.builds(CompositePeriod, small, tenths, maybe(st.integers(1, 3)))
        return st.builds(
            CompositeSchedule,
            evse_id=some,
            start=instants,
            duration_s=small,
            rate_unit=st.sampled_from(ChargingRateUnit),
            periods=st.lists(period, min_size=1, max_size=3).map(tuple),
        )

    # Variables

    @property
    def refs(self) -> st.SearchStrategy[VariableRef]:
        if not self.newer:
            return st.sampled_from(sorted(REFS)).map(ref_of) | text(50).map(ref_of)
        named = text(50)
        places = st.one_of(st.just((None, None)), st.tuples(evse_ids, st.none()), st.tuples(evse_ids, evse_ids))
        return st.builds(
            lambda component, variable, one, other, place, attribute: VariableRef(
                component, variable, one, other, place[0], place[1], attribute
            ),
            named, named, maybe(named), maybe(named), places, st.sampled_from(AttributeType),
        )  # fmt: skip

    @property
    def settings(self) -> st.SearchStrategy[VariableSetting]:
        if self.newer:
            return st.builds(VariableSetting, self.refs, text(100))
        return st.builds(VariableSetting, self.refs.filter(lambda ref: ref.variable != "RateUnit"), text(100))

    @property
    def readings(self) -> st.SearchStrategy[VariableReading]:
        if self.newer:
            found = st.builds(VariableReading, self.refs, st.sampled_from(GetVariableStatus), maybe(text(100)))
            hidden = self.refs.map(
                lambda ref: VariableReading(ref, GetVariableStatus.REJECTED, None, Mutability.WRITE_ONLY)
            )
            return found | hidden
        open_refs = self.refs.filter(lambda ref: ref.variable not in {"RateUnit", "BasicAuthPassword"})
        mutability = among(Mutability.READ_ONLY, Mutability.READ_WRITE)
        return st.builds(VariableReading, open_refs, st.just(GetVariableStatus.ACCEPTED), maybe(text(100)), mutability)

    # What a station says

    @st.composite
    @staticmethod
    def _notices(draw: st.DrawFn, words: "Words") -> e.Notice:
        kinds = ["boot", "heartbeat", "status", "meter", "firmware", "upload", "security"]
        kinds += ["transaction", "report", "bare", "reservation"] if words.newer else ["charging", "start", "stop"]
        notices: st.SearchStrategy[e.Notice] = getattr(words, draw(st.sampled_from(kinds)))()
        return draw(notices)

    @property
    def notices(self) -> st.SearchStrategy[e.Notice]:
        return Words._notices(self)

    def boot(self) -> st.SearchStrategy[e.Notice]:
        older: dict[str, Any] = {}
        if not self.newer:
            older = {
                "meter_type": maybe(text(25)),
                "meter_serial_number": maybe(text(25)),
                "controller_serial_number": maybe(text(25)),
            }
        identity = st.builds(
            StationIdentity,
            vendor_name=text(50 if self.newer else 20),
            model=text(20),
            serial_number=maybe(text(25)),
            firmware_version=maybe(text(50)),
            modem_iccid=maybe(text(20)),
            modem_imsi=maybe(text(20)),
            **older,
        )
        reason = st.sampled_from(BootReason) if self.newer else st.just(BootReason.UNKNOWN)
        return st.builds(e.StationBooted, identity=identity, reason=reason).map(lambda event: e.Notice((event,)))

    def heartbeat(self) -> st.SearchStrategy[e.Notice]:
        return st.just(e.Notice((e.HeartbeatSent(),)))

    @property
    def errors(self) -> st.SearchStrategy[ConnectorError | None]:
        if self.newer:
            return st.none()
        return maybe(
            st.builds(
                ConnectorError,
                code=among("GroundFailure", "OtherError", "HighTemperature"),
                info=maybe(text(50)),
                vendor_id=maybe(text(50)),
                vendor_error_code=maybe(text(50)),
            )
        )

    def status(self) -> st.SearchStrategy[e.Notice]:
        return st.builds(
            lambda evse_id, at, state, error: e.Notice(
                (
                    e.ConnectorStatusReported(
                        evse_id=evse_id, connector_id=1 if evse_id else 0, at=at, connector_status=state, error=error
                    ),
                )
            ),
            evse_ids if self.newer else evse_ids | st.just(0),
            instants if self.newer else maybe(instants),
            st.sampled_from(ConnectorStatus),
            self.errors,
        )

    def charging(self) -> st.SearchStrategy[e.Notice]:
        states = [state for state in ChargingState if state is not ChargingState.IDLE]
        return st.builds(
            e.ChargingStateReported,
            evse_id=evse_ids,
            at=maybe(instants),
            charging_state=st.sampled_from(states),
            error=self.errors,
        ).map(lambda event: e.Notice((event,)))

    def meter(self) -> st.SearchStrategy[e.Notice]:
        return st.builds(
            e.MeterSampled,
            evse_id=some,
            transaction_id=st.none() if self.newer else maybe(self.transaction_ids),
            meter_values=self.meter_values,
        ).map(lambda event: e.Notice((event,)))

    def start(self) -> st.SearchStrategy[e.Notice]:
        return instants.flatmap(
            lambda at: st.builds(
                e.TransactionStarted,
                transaction_id=st.none(),
                evse_id=evse_ids,
                at=st.just(at),
                id_token=self.tokens,
                meter_values=self.registers(at, ReadingContext.TRANSACTION_BEGIN),
                reservation_id=maybe(small),
            )
        ).map(lambda event: e.Notice((event,)))

    def stop(self) -> st.SearchStrategy[e.Notice]:
        return instants.flatmap(
            lambda at: st.builds(
                lambda before, register, **given: e.TransactionEnded(at=at, meter_values=before + register, **given),
                st.just(()) | self.meter_values.map(without_final_register),
                self.registers(at, ReadingContext.TRANSACTION_END),
                transaction_id=self.transaction_ids,
                id_token=maybe(self.tokens),
                reason=st.sampled_from(self.reasons),
            )
        ).map(lambda event: e.Notice((event,)))

    def report(self) -> st.SearchStrategy[e.Notice]:
        readings = st.builds(
            VariableReading,
            self.refs,
            value=maybe(text(100)),
            mutability=among(Mutability.READ_ONLY, Mutability.READ_WRITE),
        )
        hidden = self.refs.map(lambda ref: VariableReading(ref, mutability=Mutability.WRITE_ONLY))
        return st.builds(
            e.VariablesReported,
            request_id=small,
            part=small,
            more=st.booleans(),
            at=instants,
            readings=st.lists(readings | hidden, max_size=3).map(tuple),
        ).map(lambda event: e.Notice((event,)))

    def firmware(self) -> st.SearchStrategy[e.Notice]:
        return st.one_of(
            st.builds(e.FirmwareStatusReported, firmware_status=st.sampled_from(FirmwareStatus), request_id=small),
            st.just(e.FirmwareStatusReported(firmware_status=FirmwareStatus.IDLE)),
            st.builds(
                e.FirmwareStatusReported,
                firmware_status=st.sampled_from(FirmwareStatus if self.newer else PLAIN_FIRMWARE_STATES),
            ),
            *([] if self.newer else [SIGNED_FIRMWARE_WITHOUT_ID]),
        ).map(lambda event: e.Notice((event,)))

    def upload(self) -> st.SearchStrategy[e.Notice]:
        newest = () if self.newer else (LogUploadStatus.ACCEPTED_CANCELED,)
        states = st.sampled_from([state for state in LogUploadStatus if state not in newest])
        plain = states if self.newer else st.sampled_from(DIAGNOSTICS_STATES)
        return st.one_of(
            st.builds(e.LogStatusReported, upload_status=states, request_id=small),
            st.builds(e.LogStatusReported, upload_status=plain),
            *([] if self.newer else [st.builds(e.LogStatusReported, upload_status=states, extended=st.just(True))]),
        ).map(lambda event: e.Notice((event,)))

    def security(self) -> st.SearchStrategy[e.Notice]:
        names = among("InvalidCsmsCertificate", "CsmsFailedToAuthenticate", "SettingSystemTime") | text(50)
        if not self.newer:
            names = names.filter(lambda name: name not in SECURITY_EVENTS)
        return st.builds(e.SecurityEventReported, event_type=names, at=instants, tech_info=maybe(text(255))).map(
            lambda event: e.Notice((event,))
        )

    def reservation(self) -> st.SearchStrategy[e.Notice]:
        return st.builds(e.ReservationEnded, reservation_id=small, end=st.sampled_from(ReservationEnd)).map(
            lambda event: e.Notice((event,))
        )

    # Lists, firmware, certificates

    @property
    def local_lists(self) -> st.SearchStrategy[r.SendLocalList]:
        def entries(info: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[r.LocalListEntry, ...]]:
            entry = st.builds(r.LocalListEntry, self.tokens, info)
            return st.lists(entry, max_size=4, unique_by=lambda entry: entry.id_token.key).map(tuple)

        version = st.integers(1, 2**31 - 1)
        full = entries(self.token_infos).map(lambda listed: (r.ListUpdate.FULL, listed))
        changes = entries(maybe(self.token_infos)).map(lambda listed: (r.ListUpdate.DIFFERENTIAL, listed))
        return st.builds(
            lambda version, update: r.SendLocalList(version=version, update=update[0], entries=update[1]),
            version,
            full | changes,
        )

    @property
    def updates(self) -> st.SearchStrategy[r.UpdateFirmware]:
        common: dict[str, Any] = {
            "location": text(60), "retrieve_at": instants, "retries": maybe(small), "retry_interval_s": maybe(small)
        }  # fmt: skip
        signed = st.builds(
            r.UpdateFirmware,
            request_id=small,
            install_at=maybe(instants),
            signing_certificate=text(60),
            signature=text(60),
            **common,
        )
        if not self.newer:
            return st.builds(r.UpdateFirmware, **common) | signed
        return signed | st.builds(r.UpdateFirmware, request_id=small, install_at=maybe(instants), **common)

    @property
    def logs(self) -> st.SearchStrategy[r.GetLog]:
        common: dict[str, Any] = {
            "location": text(60),
            "oldest_at": maybe(instants),
            "latest_at": maybe(instants),
            "retries": maybe(small),
            "retry_interval_s": maybe(small),
        }
        log = st.builds(r.GetLog, log_type=st.sampled_from(LogType), request_id=small, **common)
        return log if self.newer else log | st.builds(r.GetLog, **common)

    @property
    def signing_uses(self) -> st.SearchStrategy[CertificateSigningUse | None]:
        return maybe(st.sampled_from(CertificateSigningUse)) if self.newer else st.sampled_from(CertificateSigningUse)

    @property
    def uses(self) -> st.SearchStrategy[tuple[CertificateUse, ...]]:
        if self.newer:
            return st.lists(st.sampled_from(CertificateUse), max_size=3).map(tuple)
        several = st.lists(st.sampled_from(ISO15118_USES), min_size=1, max_size=2).map(tuple)
        return among((CertificateUse.CSMS_ROOT,), (CertificateUse.MANUFACTURER_ROOT,), ISO15118_USES) | several

    def sequences(self, **more: Any) -> st.SearchStrategy[e.Sequence]:
        return st.builds(
            e.Sequence,
            seq_no=small,
            trigger_reason=st.sampled_from(TriggerReason),
            offline=st.booleans(),
            number_phases_used=maybe(st.integers(1, 3)),
            cable_max_current_a=maybe(small),
            **more,
        )

    def bare(self) -> st.SearchStrategy[e.Notice]:
        sequence = self.sequences(transaction_id=self.transaction_ids, at=instants)
        return sequence.map(lambda sequence: e.Notice((), sequence))

    def transaction(self) -> st.SearchStrategy[e.Notice]:
        return transaction_notices(self)

    # Answers to it

    def notice_answers(self, notice: e.Notice) -> st.SearchStrategy[e.NoticeAnswer]:
        for event in notice.events:
            if isinstance(event, e.StationBooted):
                return st.builds(
                    e.BootAnswer, registration=st.sampled_from(RegistrationStatus), now=instants, interval_s=small
                )
            if isinstance(event, e.HeartbeatSent):
                return st.builds(e.HeartbeatAnswer, now=instants)
            if isinstance(event, e.TransactionStarted | e.TransactionAuthorized | e.TransactionEnded):
                issued = not self.newer and isinstance(event, e.TransactionStarted)
                return st.builds(
                    e.TransactionAnswer,
                    id_token_info=self.token_infos if issued else maybe(self.token_infos),
                    transaction_id=self.transaction_ids if issued else st.none(),
                    total_cost=maybe(small.map(float)) if self.newer else st.none(),
                )
        return st.just(e.Acknowledged())


PLAIN_FIRMWARE_STATES: Final = (
    FirmwareStatus.DOWNLOADED,
    FirmwareStatus.DOWNLOAD_FAILED,
    FirmwareStatus.DOWNLOADING,
    FirmwareStatus.IDLE,
    FirmwareStatus.INSTALLATION_FAILED,
    FirmwareStatus.INSTALLING,
    FirmwareStatus.INSTALLED,
)
SIGNED_FIRMWARE_WITHOUT_ID: Final = st.builds(
    e.FirmwareStatusReported, firmware_status=st.sampled_from(FirmwareStatus), extended=st.just(True)
)
DIAGNOSTICS_STATES: Final = (
    LogUploadStatus.IDLE,
    LogUploadStatus.UPLOADED,
    LogUploadStatus.UPLOAD_FAILURE,
    LogUploadStatus.UPLOADING,
)
ISO15118_USES: Final = (CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT, CertificateUse.V2G_CHAIN)
INSTALLED_USES: Final = tuple(use for use in CertificateUse if use is not CertificateUse.V2G_CHAIN)

hashes = st.builds(CertificateHash, st.sampled_from(HashAlgorithm), text(128), text(128), text(40))
ocsp_queries = st.builds(OcspQuery, hashes, text(100))


def without_final_register(values: tuple[MeterValue, ...]) -> tuple[MeterValue, ...]:
    """So that the register at the end, which follows, is not said twice."""
    return tuple(
        MeterValue(value.at, samples)
        for value in values
        if (
            samples := tuple(sample for sample in value.samples if sample.context is not ReadingContext.TRANSACTION_END)
        )
    )


@st.composite
def transaction_notices(draw: st.DrawFn, words: Words) -> e.Notice:
    """Everything that one TransactionEvent can tell."""
    at, transaction_id = draw(instants), draw(words.transaction_ids)
    evse_id, connector_id = draw(st.tuples(evse_ids, evse_ids) | st.just((None, None)))
    values = draw(st.just(()) | words.meter_values)
    kind = draw(st.sampled_from(["started", "updated", "ended"]))
    states = [state for state in ChargingState if state is not ChargingState.EV_CONNECTED or kind == "updated"]
    charging = e.ChargingStateReported(
        evse_id=evse_id,
        connector_id=connector_id,
        at=at,
        charging_state=draw(st.sampled_from(states)),
        transaction_id=transaction_id,
    )
    events: list[e.StationEvent] = []
    if kind == "started":
        started = e.TransactionStarted(
            transaction_id=transaction_id,
            evse_id=evse_id or 0,
            connector_id=connector_id or 0,
            at=at,
            id_token=draw(maybe(words.tokens)),
            meter_values=values,
            reservation_id=draw(maybe(small)),
            remote_start_id=draw(maybe(small)),
        )
        events = [started, charging] if draw(st.booleans()) else [started]
    elif kind == "ended":
        ended = e.TransactionEnded(
            transaction_id=transaction_id,
            evse_id=evse_id,
            at=at,
            id_token=draw(maybe(words.tokens)),
            reason=draw(st.sampled_from(words.reasons)),
            meter_values=values,
        )
        still_there = e.ChargingStateReported(
            evse_id=evse_id,
            connector_id=connector_id,
            at=at,
            charging_state=ChargingState.EV_CONNECTED,
            transaction_id=None if evse_id else transaction_id,
        )
        events = [ended, still_there] if draw(st.booleans()) else [ended]
        if events == [ended] and evse_id is None and draw(st.booleans()):
            events = [ended, still_there]
    else:
        if draw(st.booleans()):
            authorized = e.TransactionAuthorized(
                transaction_id=transaction_id,
                at=at,
                id_token=draw(words.tokens),
                reservation_id=draw(maybe(small)),
                remote_start_id=draw(maybe(small)),
            )
            events.append(authorized)
        if not events or draw(st.booleans()):
            events.append(charging)
        if values:
            events.append(e.MeterSampled(evse_id=evse_id, transaction_id=transaction_id, meter_values=values))
    return e.Notice(tuple(events), draw(words.sequences()))


# What is asked, and answered


@cache
def requests(words: Words) -> dict[type[r.Request], st.SearchStrategy[Any]]:
    """By kind of request."""
    newer = words.newer
    connectors = evse_ids if newer else st.just(1)
    triggers = st.sampled_from(words.triggers)
    contracts = st.builds(
        r.Authorize,
        id_token=st.builds(IdToken, text(20), st.just(IdTokenType.EMAID)),
        certificate=maybe(text(60)),
        certificate_hashes=st.lists(ocsp_queries, max_size=4).map(tuple),
    )
    told: dict[type[r.Request], st.SearchStrategy[Any]] = {
        r.Authorize: st.builds(r.Authorize, id_token=words.tokens) | contracts,
        r.DataTransfer: st.builds(
            r.DataTransfer, vendor_id=text(100), message_id=maybe(text(50)), content=maybe(contents())
        ),
        r.RequestStartTransaction: st.builds(
            r.RequestStartTransaction,
            id_token=words.tokens,
            remote_start_id=small if newer else st.just(0),
            evse_id=maybe(evse_ids),
            group_id_token=maybe(words.tokens) if newer else st.none(),
            charging_profile=maybe(words.profiles),
        ),
        r.RequestStopTransaction: st.builds(r.RequestStopTransaction, transaction_id=words.transaction_ids),
        r.Reset: st.builds(
            r.Reset,
            reset_type=st.sampled_from(ResetType) if newer else st.just(ResetType.IMMEDIATE),
            graceful=st.just(True) if newer else st.booleans(),
            evse_id=maybe(evse_ids) if newer else st.none(),
        ),
        r.ChangeAvailability: st.builds(
            lambda place, status: r.ChangeAvailability(
                evse_id=place[0], connector_id=place[1], operational_status=status
            ),
            st.just((0, None)) | st.tuples(evse_ids, maybe(evse_ids) if newer else st.none()),
            st.sampled_from(OperationalStatus),
        ),
        r.UnlockConnector: st.builds(r.UnlockConnector, evse_id=evse_ids, connector_id=connectors),
        r.TriggerMessage: st.one_of(
            st.builds(
                lambda evse_id, connector_id: r.TriggerMessage(
                    requested_message=r.TriggeredMessage.STATUS_NOTIFICATION,
                    evse_id=evse_id,
                    connector_id=connector_id,
                ),
                evse_ids,
                connectors,
            ),
            st.builds(
                r.TriggerMessage,
                requested_message=triggers.filter(
                    lambda what: (
                        what is not r.TriggeredMessage.STATUS_NOTIFICATION
                        and (newer or what is not r.TriggeredMessage.SIGN_V2G_CERTIFICATE)
                    )
                ),
                evse_id=maybe(evse_ids),
            ),
            *(
                []
                if newer
                else [
                    st.just(r.TriggerMessage(requested_message=r.TriggeredMessage.SIGN_V2G_CERTIFICATE)),
                    st.builds(
                        r.TriggerMessage,
                        requested_message=among(
                            r.TriggeredMessage.FIRMWARE_STATUS_NOTIFICATION, r.TriggeredMessage.HEARTBEAT
                        ),
                        evse_id=maybe(evse_ids),
                        extended=st.just(True),
                    ),
                ]
            ),
        ),
        r.SetVariables: st.builds(
            r.SetVariables,
            settings=st.lists(words.settings, min_size=1, max_size=3 if newer else 1).map(tuple),
        ),
        r.GetVariables: st.one_of(
            st.builds(r.GetVariables, refs=st.lists(words.refs, min_size=1, max_size=3).map(tuple)),
            st.builds(r.GetVariables, request_id=small, report_base=st.sampled_from(ReportBase))
            if newer
            else st.just(r.GetVariables()),
        ),
        r.SetChargingProfile: st.builds(r.SetChargingProfile, evse_id=some, profile=words.profiles),
        r.ClearChargingProfile: st.builds(
            lambda criteria: r.ClearChargingProfile(criteria=criteria),
            st.builds(
                ProfileCriteria,
                profile_id=maybe(small),
                evse_id=maybe(some),
                purpose=maybe(st.sampled_from(words.purposes)),
                stack_level=maybe(some),
            ).filter(lambda criteria: not newer or criteria != ProfileCriteria()),
        ),
        r.GetCompositeSchedule: st.builds(
            r.GetCompositeSchedule,
            evse_id=some,
            duration_s=small,
            rate_unit=maybe(st.sampled_from(ChargingRateUnit)),
        ),
        r.ClearCache: st.just(r.ClearCache()),
        r.SendLocalList: words.local_lists,
        r.GetLocalListVersion: st.just(r.GetLocalListVersion()),
        r.ReserveNow: st.builds(
            r.ReserveNow,
            reservation_id=small,
            expires_at=instants,
            id_token=words.tokens,
            evse_id=maybe(evse_ids),
            group_id_token=maybe(words.tokens),
            connector_type=maybe(st.sampled_from(ConnectorType)) if newer else st.none(),
        ),
        r.CancelReservation: st.builds(r.CancelReservation, reservation_id=small),
        r.UpdateFirmware: words.updates,
        r.GetLog: words.logs,
        r.SignCertificate: st.builds(r.SignCertificate, csr=text(60), use=words.signing_uses),
        r.CertificateSigned: st.builds(r.CertificateSigned, certificate_chain=text(60), use=words.signing_uses),
        r.InstallCertificate: st.builds(
            r.InstallCertificate, use=st.sampled_from(INSTALLED_USES), certificate=text(60)
        ),
        r.DeleteCertificate: st.builds(
            r.DeleteCertificate, certificate=hashes, iso15118=st.just(False) if newer else st.booleans()
        ),
        r.GetInstalledCertificateIds: st.builds(r.GetInstalledCertificateIds, uses=words.uses),
        r.GetCertificateStatus: st.builds(r.GetCertificateStatus, query=ocsp_queries),
        r.Get15118EVCertificate: st.builds(
            r.Get15118EVCertificate,
            schema_version=text(50),
            action=st.sampled_from(ContractAction),
            exi_request=text(60),
        ),
        r.CostUpdated: st.builds(r.CostUpdated, transaction_id=words.transaction_ids, total_cost=small.map(float)),
    }
    return told if newer else told | _costs_apart()


ONLY_APART: Final = frozenset({r.ShowPrice, r.ShowFinalCost, r.ConnectorUnplugged})
"""What OCPP 2.0.1 tells with other messages, or not at all."""


def _costs_apart() -> dict[type[r.Request], st.SearchStrategy[Any]]:
    texts = st.lists(st.builds(PriceText, text=text(40), language=among("de", "en")), max_size=2).map(tuple)
    own = st.builds(lambda first, others: (PriceText(text=first), *others), text(40), texts)
    ids = st.integers(0, 2**31 - 1).map(str)
    return {
        r.ShowPrice: st.builds(r.ShowPrice, id_token=st.builds(IdToken, text(20)), texts=own),
        r.ShowFinalCost: st.builds(
            r.ShowFinalCost,
            transaction_id=ids,
            total_cost=small.map(float),
            texts=texts | own,
            qr_code_text=maybe(text(40)),
        ),
        r.ConnectorUnplugged: st.builds(r.ConnectorUnplugged, transaction_id=ids, at=instants),
    }


def contents() -> st.SearchStrategy[str]:
    """Texts, and compact JSON of objects and arrays."""
    return text(40) | among('{"a":1}', '[1,2.5,"x",null]', "{", "null", '"quoted"', "12", "[]", '{"ü":{"b":[true]}}')


def answers(words: Words, request: Any) -> st.SearchStrategy[Any]:
    """What can be answered to `request`."""
    if isinstance(request, r.GetVariables) and words.newer and request.refs is None:
        follows = r.GetVariablesAnswer(readings=(), report_follows=True)
        nothing = r.GetVariablesAnswer(readings=())
        refused = among(r.RequestStatus.REJECTED, r.RequestStatus.NOT_SUPPORTED)
        return among(follows, nothing) | refused.map(lambda how: r.GetVariablesAnswer(readings=(), outcome=how))
    if isinstance(request, r.GetVariables):
        return st.lists(words.readings, min_size=1, max_size=3).map(
            lambda readings: r.GetVariablesAnswer(readings=tuple(readings))
        )
    if isinstance(request, r.SetVariables):
        outcomes = (
            st.sampled_from(SetVariableStatus)
            if words.newer
            else among(
                SetVariableStatus.ACCEPTED,
                SetVariableStatus.REJECTED,
                SetVariableStatus.REBOOT_REQUIRED,
                SetVariableStatus.UNKNOWN_VARIABLE,
            )
        )
        info = st.just("") | text(50) if words.newer else st.just("")
        results = [st.builds(VariableSetResult, st.just(setting.ref), outcomes, info) for setting in request.settings]
        return st.tuples(*results).map(lambda results: r.SetVariablesAnswer(results=results))
    statuses = st.sampled_from(OUTCOMES[words.subprotocol].get(type(request), (r.RequestStatus.ACCEPTED,)))
    match request:
        case r.Authorize():
            if not words.newer and IS_WRAPPED[r.Authorize](request):  # without a group (application note §7.4)
                infos = st.builds(IdTokenInfo, status=st.sampled_from(words.authorizations), expires_at=maybe(instants))
                verdicts = maybe(st.sampled_from(ContractStatus))
                return st.builds(r.AuthorizeAnswer, id_token_info=infos, certificate_status=verdicts)
            verdicts = maybe(st.sampled_from(ContractStatus)) if words.newer else st.none()
            return st.builds(r.AuthorizeAnswer, id_token_info=words.token_infos, certificate_status=verdicts)
        case r.DataTransfer():
            return st.builds(
                r.DataTransferAnswer, outcome=st.sampled_from(r.DataTransferStatus), content=maybe(contents())
            )
        case r.UnlockConnector():
            older = among(r.UnlockStatus.UNLOCKED, r.UnlockStatus.UNLOCK_FAILED, r.UnlockStatus.NOT_SUPPORTED)
            return st.builds(r.UnlockAnswer, outcome=st.sampled_from(r.UnlockStatus) if words.newer else older)
        case r.RequestStartTransaction():
            issued = maybe(words.transaction_ids) if words.newer else st.none()
            return st.builds(r.StartAnswer, outcome=statuses, transaction_id=issued)
        case r.GetCompositeSchedule():
            return st.builds(r.CompositeScheduleAnswer, outcome=statuses, schedule=maybe(words.composites))
    why: dict[str, Any] = {}
    if words.newer:
        why = {"reason_code": maybe(text(20)), "info": maybe(text(50))}
    wrapped = not words.newer and IS_WRAPPED.get(type(request), lambda _: False)(request)
    match request:
        case r.GetLocalListVersion():
            return st.builds(r.LocalListVersionAnswer, version=small if words.newer else maybe(small))
        case r.GetLog(request_id=request_id):
            outcome = statuses if request_id is not None else st.just(r.RequestStatus.ACCEPTED)
            return st.builds(r.GetLogAnswer, outcome=outcome, filename=maybe(text(255)), **why)
        case r.UpdateFirmware(signature=None) if not words.newer:
            return st.just(r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED))
        case r.GetInstalledCertificateIds(uses=asked):
            several = words.newer or wrapped
            installed = st.builds(
                InstalledCertificate,
                st.sampled_from(asked or tuple(CertificateUse)),
                hashes,
                st.lists(hashes, max_size=4 if several else 0).map(tuple),
            )
            return st.builds(
                r.GetInstalledCertificateIdsAnswer,
                outcome=statuses,
                certificates=st.lists(installed, max_size=2).map(tuple),
                **why,
            )
        case r.GetCertificateStatus():
            return st.builds(r.GetCertificateStatusAnswer, outcome=statuses, ocsp_result=maybe(text(60)), **why)
        case r.CostUpdated() if words.newer:
            return st.just(r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED))
        case r.CostUpdated() | r.ShowPrice() | r.ShowFinalCost() | r.ConnectorUnplugged():
            return st.builds(r.RequestAnswer, outcome=among(*_PLAIN, r.RequestStatus.NOT_SUPPORTED))
        case r.Get15118EVCertificate():
            return st.builds(r.Get15118EVCertificateAnswer, outcome=statuses, exi_response=maybe(text(60)), **why)
    if wrapped and not isinstance(request, r.TriggerMessage):
        statuses = statuses | st.just(r.RequestStatus.NOT_SUPPORTED)  # the vendor is unknown
    return st.builds(r.RequestAnswer, outcome=statuses, **why)


_ACCEPTED, _REJECTED = r.RequestStatus.ACCEPTED, r.RequestStatus.REJECTED
_PLAIN = (_ACCEPTED, _REJECTED)
_FAILED, _NOT_FOUND, _CANCELED = r.RequestStatus.FAILED, r.RequestStatus.NOT_FOUND, r.RequestStatus.ACCEPTED_CANCELED
_ALIKE: Final[dict[type[r.Request], tuple[r.RequestStatus, ...]]] = {
    r.SendLocalList: (_ACCEPTED, _FAILED, r.RequestStatus.VERSION_MISMATCH),
    r.ReserveNow: (*_PLAIN, r.RequestStatus.FAULTED, r.RequestStatus.OCCUPIED, r.RequestStatus.UNAVAILABLE),
    r.CancelReservation: _PLAIN,
    r.UpdateFirmware: (
        *_PLAIN,
        _CANCELED,
        r.RequestStatus.INVALID_CERTIFICATE,
        r.RequestStatus.REVOKED_CERTIFICATE,
    ),
    r.GetLog: (*_PLAIN, _CANCELED),
    r.SignCertificate: _PLAIN,
    r.CertificateSigned: _PLAIN,
    r.InstallCertificate: (*_PLAIN, _FAILED),
    r.DeleteCertificate: (_ACCEPTED, _FAILED, _NOT_FOUND),
    r.GetInstalledCertificateIds: (_ACCEPTED, _NOT_FOUND),
    r.GetCertificateStatus: (_ACCEPTED, _FAILED),
    r.Get15118EVCertificate: (_ACCEPTED, _FAILED),
}

OUTCOMES: Final[dict[str, dict[type[r.Request], tuple[r.RequestStatus, ...]]]] = {
    "ocpp1.6": {
        **_ALIKE,
        r.SendLocalList: (*_ALIKE[r.SendLocalList], r.RequestStatus.NOT_SUPPORTED),
        r.RequestStartTransaction: _PLAIN,
        r.RequestStopTransaction: _PLAIN,
        r.Reset: _PLAIN,
        r.ClearCache: _PLAIN,
        r.GetCompositeSchedule: _PLAIN,
        r.ChangeAvailability: (*_PLAIN, r.RequestStatus.SCHEDULED),
        r.TriggerMessage: (*_PLAIN, r.RequestStatus.NOT_IMPLEMENTED),
        r.SetChargingProfile: (*_PLAIN, r.RequestStatus.NOT_SUPPORTED),
        r.ClearChargingProfile: (_ACCEPTED, r.RequestStatus.UNKNOWN),
    },
    "ocpp2.0.1": {
        **_ALIKE,
        r.RequestStartTransaction: _PLAIN,
        r.RequestStopTransaction: _PLAIN,
        r.Reset: (*_PLAIN, r.RequestStatus.SCHEDULED),
        r.ClearCache: _PLAIN,
        r.GetCompositeSchedule: _PLAIN,
        r.ChangeAvailability: (*_PLAIN, r.RequestStatus.SCHEDULED),
        r.TriggerMessage: (*_PLAIN, r.RequestStatus.NOT_IMPLEMENTED),
        r.SetChargingProfile: _PLAIN,
        r.ClearChargingProfile: (_ACCEPTED, r.RequestStatus.UNKNOWN),
    },
}

_LATER_TOKENS = {IdTokenType.DIRECT_PAYMENT, IdTokenType.EVCCID, IdTokenType.VIN}
_LATER_PURPOSES = {ChargingProfilePurpose.PRIORITY_CHARGING, ChargingProfilePurpose.LOCAL_GENERATION}

WORDS: Final = {
    "ocpp1.6": Words(
        subprotocol="ocpp1.6",
        token_types=(IdTokenType.ISO14443,),
        authorizations=(
            AuthorizationStatus.ACCEPTED,
            AuthorizationStatus.BLOCKED,
            AuthorizationStatus.CONCURRENT_TX,
            AuthorizationStatus.EXPIRED,
            AuthorizationStatus.INVALID,
        ),
        reasons=(
            StoppedReason.DE_AUTHORIZED,
            StoppedReason.EMERGENCY_STOP,
            StoppedReason.EV_DISCONNECTED,
            StoppedReason.GRACEFUL_RESET,
            StoppedReason.IMMEDIATE_RESET,
            StoppedReason.LOCAL,
            StoppedReason.OTHER,
            StoppedReason.POWER_LOSS,
            StoppedReason.REBOOT,
            StoppedReason.REMOTE,
            StoppedReason.UNLOCK_COMMAND,
        ),
        measurands=tuple(
            measurand for measurand in Measurand if not measurand.value.endswith("Net") and "Apparent" not in measurand
        ),
        purposes=(ChargingProfilePurpose.STATION_MAX, ChargingProfilePurpose.TX_DEFAULT, ChargingProfilePurpose.TX),
        triggers=(
            r.TriggeredMessage.BOOT_NOTIFICATION,
            r.TriggeredMessage.HEARTBEAT,
            r.TriggeredMessage.METER_VALUES,
            r.TriggeredMessage.STATUS_NOTIFICATION,
            r.TriggeredMessage.FIRMWARE_STATUS_NOTIFICATION,
            r.TriggeredMessage.DIAGNOSTICS_STATUS_NOTIFICATION,
            r.TriggeredMessage.LOG_STATUS_NOTIFICATION,
            r.TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE,
            r.TriggeredMessage.SIGN_V2G_CERTIFICATE,
        ),
        longest_token=20,
    ),
    "ocpp2.0.1": Words(
        subprotocol="ocpp2.0.1",
        token_types=tuple(kind for kind in IdTokenType if kind not in _LATER_TOKENS),
        authorizations=tuple(AuthorizationStatus),
        reasons=tuple(
            reason
            for reason in StoppedReason
            if reason not in {StoppedReason.GRACEFUL_RESET, StoppedReason.UNLOCK_COMMAND}
        ),
        measurands=tuple(
            measurand for measurand in Measurand if measurand not in {Measurand.RPM, Measurand.TEMPERATURE}
        ),
        purposes=tuple(purpose for purpose in ChargingProfilePurpose if purpose not in _LATER_PURPOSES),
        triggers=tuple(
            trigger
            for trigger in r.TriggeredMessage
            if trigger is not r.TriggeredMessage.DIAGNOSTICS_STATUS_NOTIFICATION
        ),
        longest_token=36,
    ),
}
