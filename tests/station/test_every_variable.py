"""Every variable of the station's table has its effect: shown here, or by the test that is named.

A row that is added to the table fails here until something shows what it does.
"""

import ast
import re
from collections.abc import Callable
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from tools.write_keys import key

from forecourt.dialect.v16 import V16
from forecourt.domain import cost as c
from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateSigningUse, ContractAction
from forecourt.domain.clock import Now
from forecourt.domain.events import TransactionEnded, TransactionStarted
from forecourt.domain.meter import Measurand, ReadingContext
from forecourt.domain.profile import ChargingRateUnit
from forecourt.domain.requests.local_list import ListUpdate, LocalListEntry
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.variable import VariableRef, VariableSetting
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.net.station_endpoint import StationEndpoint
from forecourt.station import effects as e
from forecourt.station import extension_variables as x
from forecourt.station import inputs as i
from forecourt.station import variable_table as v
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.security_questions import MakeSigningRequest
from forecourt.station.variable_spec import KEY, VariableSpec
from forecourt.station.variables import Variables
from forecourt.store.journal import MemoryJournal
from tests.hardware.made_contracts import MadeProvider
from tests.station.bench import ALICE, BOB, TWO, Bench
from tests.station.test_charging import limit
from tests.station.test_contracts import SIGN, ContractCsms, Contracts

HERE: Final = Path(__file__).parents[1]

SHOWN_BY: Final = {
    v.HEARTBEAT_INTERVAL: "station/test_boot.py::test_heartbeats_count_from_the_last_answer_and_come_daily_at_least",
    v.MESSAGE_ATTEMPTS: "station/test_outbox.py::"
    "test_retries_wait_the_interval_times_the_transmissions_then_the_message_is_set_aside",
    v.MESSAGE_ATTEMPT_INTERVAL: "station/test_outbox.py::"
    "test_retries_wait_the_interval_times_the_transmissions_then_the_message_is_set_aside",
    v.RESET_RETRIES: "station/test_remote.py::test_a_restart_that_fails_is_tried_again",
    v.UNLOCK_ON_EV_SIDE_DISCONNECT: "station/test_sessions.py::test_tc_005_1_and_2_ev_side_disconnect_stops",
    v.WEBSOCKET_PING_INTERVAL: "net/test_station_session.py::test_another_ping_interval_holds_at_once",
    v.AUTHORIZE_REMOTE_START: "station/test_sessions.py::test_remote_start_is_authorized_first_if_so_configured",
    v.LOCAL_AUTHORIZE_OFFLINE: "station/test_tokens.py::test_3_5_4_offline",
    v.LOCAL_PRE_AUTHORIZE: "station/test_tokens.py::test_without_pre_authorization_the_csms_is_asked_while_it_can_be",
    v.OFFLINE_TX_FOR_UNKNOWN_ID: "station/test_tokens.py::test_3_5_4_offline",
    v.CACHE_ENABLED: "station/test_tokens.py::test_errata_3_23_a_cache_that_is_off_cannot_be_cleared_and_is_emptied",
    v.CACHE_LIFE_TIME: "station/test_tokens.py::test_an_entry_not_used_for_its_life_time_expires_and_is_asked_about",
    v.CACHE_FINAL: "station/test_tokens.py::test_c10_fr_03_unless_a_refusal_is_final",
    v.LIST_ENABLED: "station/test_local_list.py::test_tc_043_1_not_supported_while_it_is_off",
    v.LIST_ENTRIES: "station/test_local_list.py::test_tc_043_full_then_differential",
    v.LIST_FINAL: "station/test_local_list.py::test_c14_fr_03_unless_the_list_is_final",
    v.CONNECTION_TIMEOUT: "station/test_sessions.py::test_tc_004_2_identification_first_connection_timeout",
    v.STOP_ON_EV_SIDE_DISCONNECT: "station/test_sessions.py::test_tc_005_3_ev_side_disconnect_does_not_stop",
    v.STOP_ON_INVALID_ID: "station/test_sessions.py::test_tc_037_2_a_refused_start_only_stops_the_energy",
    v.MAX_ENERGY_ON_INVALID_ID: "station/test_sessions.py::test_max_energy_on_invalid_id_lets_the_car_drive_away",
    v.TX_BEFORE_ACCEPTED: "station/test_boot.py::test_no_transaction_before_the_first_acceptance_unless_allowed",
    v.RESUMPTION_TIMEOUT: "octt/station/test_upkeep.py::test_tc_032_2_cs_power_failure",
    v.RESERVATION_ENABLED: "station/test_reservations.py::test_rejected_while_it_is_configured_not_to_take_any",
    v.RESERVE_ANY_EVSE: "station/test_reservations.py::test_5_13_rejected_on_connector_0_where_that_is_not_supported",
    v.SAMPLED_INTERVAL: "station/test_metering.py::test_tc_070_sampled_values",
    v.SAMPLED_MEASURANDS: "station/test_metering.py::test_tc_070_sampled_values",
    v.ENDED_INTERVAL: "station/test_metering.py::test_too_many_values_for_the_end_are_thinned_and_keep_first_and_last",
    v.ENDED_MEASURANDS: "station/test_metering.py::test_values_for_the_end_of_the_transaction",
    v.ENDED_MOST_VALUES: "station/test_metering.py::"
    "test_too_many_values_for_the_end_are_thinned_and_keep_first_and_last",
    v.ALIGNED_INTERVAL: "station/test_metering.py::test_tc_071_clock_aligned_values_from_midnight",
    v.ALIGNED_MEASURANDS: "station/test_metering.py::test_a_day_of_clock_aligned_values",
    v.ALIGNED_ENDED_MEASURANDS: "station/test_metering.py::test_values_for_the_end_of_the_transaction",
    v.MINIMUM_STATUS_DURATION: "station/test_sessions.py::test_minimum_status_duration_swallows_what_does_not_last",
    v.REQUIRED_ERROR_CODES: "station/test_sessions.py::test_errors_by_the_minimum_required_codes_where_they_are_wanted",
    v.TIME_SOURCE: "station/test_dating.py::test_a_station_that_does_not_follow_the_csms_keeps_its_own_time",
    v.FEATURE_PROFILES: "station/test_remote.py::test_3_3_a_request_of_a_profile_that_is_missing_is_not_supported",
    v.ORGANIZATION_NAME: "station/test_certificates.py::"
    "test_a02_a_chain_that_is_too_long_and_a_request_without_an_organization",
    v.SECURITY_PROFILE: "app/test_station_security.py::test_a05_from_profile_0_to_3_and_never_back",
    v.BASIC_AUTH_PASSWORD: "station/test_access.py::"
    "test_a01_a_new_password_is_used_and_the_old_one_kept_until_it_has_worked",
    v.ADDITIONAL_ROOT_CHECK: "station/test_certificates.py::"
    "test_m05_fr_08_to_10_a_new_root_is_signed_by_the_one_it_replaces",
    v.CERTIFICATE_WAIT: "station/test_certificates.py::"
    "test_a02_fr_17_to_19_a_request_without_a_certificate_is_made_again_with_back_off",
    v.CERTIFICATE_REPEATS: "station/test_certificates.py::"
    "test_a02_fr_17_to_19_a_request_without_a_certificate_is_made_again_with_back_off",
    v.CONNECTION_ATTEMPTS: "app/test_station_security.py::test_b10_the_next_address_and_back_to_the_first",
    v.CERTIFICATE_CHAIN_SIZE: "station/test_certificates.py::"
    "test_a02_a_chain_that_is_too_long_and_a_request_without_an_organization",
    v.CERTIFICATE_STORE_LENGTH: "station/test_certificates.py::test_m05_fr_03_and_06_what_is_not_installed",
    x.PNC_ENABLED: "station/test_contracts.py::test_switched_off_nobody_charges_by_contract",
    x.CENTRAL_VALIDATION: "station/test_contracts.py::test_a_root_that_is_not_here_is_the_csms_to_judge_if_it_may",
    x.OFFLINE_VALIDATION: "station/test_contracts.py::test_offline_a_contract_counts_only_if_it_was_validated_here",
    x.OCSP_INTERVAL: "station/test_contracts.py::test_m06_an_answer_that_failed_is_asked_for_again_at_the_next_look",
    x.COSTS_SHOWN: "station/test_costs.py::test_switched_off_nothing_is_known_of_prices",
    x.IDLE_FEE_AFTER_STOP: "station/test_costs.py::test_a_car_that_stayed_is_told_of_when_it_leaves",
    x.DEFAULT_PRICE: "station/test_costs.py::test_the_default_price_follows_language_and_connection",
    x.COST_DECIMALS: "station/test_costs.py::test_costs_of_a_transaction_and_its_end",
    x.PRICE_PATIENCE_MS: "station/test_user_price.py::test_the_wait_can_be_set_from_afar",
    x.LANGUAGE: "station/test_costs.py::test_a_drivers_price_is_shown_in_the_stations_language",
    x.TIME_OFFSET: "station/test_costs.py::test_the_next_price_is_told_by_the_clock_on_the_wall",
    x.NEXT_OFFSET_AT: "station/test_costs.py::test_the_next_price_is_told_by_the_clock_on_the_wall",
    x.NEXT_OFFSET: "station/test_costs.py::test_the_next_price_is_told_by_the_clock_on_the_wall",
}
"""The test of each variable that is at home elsewhere, below tests/."""

EFFECTS: Final[dict[VariableRef, Callable[[Path], None]]] = {}
Effect = Callable[[Path], None]


def effect(*refs: VariableRef) -> Callable[[Effect], Effect]:
    def note(shows: Effect) -> Effect:
        EFFECTS.update(dict.fromkeys(refs, shows))
        return shows

    return note


# Facts


def read(bench: Bench, ref: VariableRef) -> str | None:
    return bench.station.parts.variables.read((ref,))[0].value


@effect(v.NUMBER_OF_CONNECTORS, v.SUPPLY_PHASES, v.MODEL, v.VENDOR_NAME, v.FILE_TRANSFER_PROTOCOLS)
def facts(_: Path) -> None:
    evses = tuple(EvseConfig(number_phases=1) for _ in range(3))
    bench = Bench(evses=evses, has_system=True, file_transfer_protocols=("SFTP", "HTTPS"))
    told = {
        v.NUMBER_OF_CONNECTORS: "3",
        v.SUPPLY_PHASES: "1",
        v.MODEL: "Model",
        v.VENDOR_NAME: "Vendor",
        v.FILE_TRANSFER_PROTOCOLS: "SFTP,HTTPS",
    }
    assert {ref: read(bench, ref) for ref in told} == told
    for ref in told:
        with pytest.raises(ValueError, match="is told by the hardware"):
            Bench(variables={ref: "3"})


@effect(v.CACHE_POLICY)
def policy_of_the_cache(_: Path) -> None:
    with pytest.raises(ValueError, match="expected some of LRU"):
        Bench(variables={v.CACHE_POLICY: "FIFO"})
    assert read(Bench(), v.CACHE_POLICY) == "LRU"
    full = "station/test_tokens.py::test_3_5_1_a_full_cache_forgets_what_is_invalid_first_then_the_least_recently_used"
    assert functions(full.partition("::")[0]) >= {full.partition("::")[2]}


# The connection


@effect(v.MESSAGE_TIMEOUT)
def patience_with_the_csms(_: Path) -> None:
    for wait_s in (7, 70):
        now = Now(0.0, 0.0, Bench().now.at)
        config = StationConfig(
            identity=StationIdentity(vendor_name="V", model="M"), variables={v.MESSAGE_TIMEOUT: f"{wait_s}"}
        )
        hardware = SimulatedHardware([SimulatedEvse(1)])
        endpoint = StationEndpoint(config, V16, MemoryJournal(), hardware, new_id=partial(next, map(str, count())))
        endpoint.start(now)
        endpoint.link_up(now)
        assert len(endpoint.take()) == 1, "a BootNotification"
        assert endpoint.next_deadlines().protocol_s == wait_s


# Limits of lists and messages


def entries(number: int) -> tuple[LocalListEntry, ...]:
    accepted = IdTokenInfo(status=AuthorizationStatus.ACCEPTED)
    return tuple(LocalListEntry(id_token=IdToken(f"T{n}"), id_token_info=accepted) for n in range(number))


@effect(v.LIST_ITEMS_PER_MESSAGE, v.LIST_MOST_ENTRIES)
def length_of_the_local_list(_: Path) -> None:
    for ref in (v.LIST_ITEMS_PER_MESSAGE, v.LIST_MOST_ENTRIES):
        for most, outcome in (("3", "Accepted"), ("2", "Failed")):
            bench = Bench(variables={ref: most})
            bench.connect()
            update = r.SendLocalList(version=1, update=ListUpdate.FULL, entries=entries(3))
            assert bench.ask(update).outcome == outcome


MOST_MEMBERS: Final = {
    VariableRef(KEY, "MeterValuesSampledDataMaxLength"): v.SAMPLED_MEASURANDS,
    VariableRef(KEY, "MeterValuesAlignedDataMaxLength"): v.ALIGNED_MEASURANDS,
    VariableRef(KEY, "StopTxnSampledDataMaxLength"): v.ENDED_MEASURANDS,
    VariableRef(KEY, "StopTxnAlignedDataMaxLength"): v.ALIGNED_ENDED_MEASURANDS,
    v.PHASE_ROTATION_LENGTH: v.PHASE_ROTATION,
}


@effect(*MOST_MEMBERS)
def most_members(_: Path) -> None:
    for length, listed in MOST_MEMBERS.items():
        words = ["1.RST", "2.STR", "0.TRS"] if listed is v.PHASE_ROTATION else ["Voltage", "SoC", "Current.Import"]
        bench = Bench(variables={length: "2", listed: ",".join(words[:2])})
        bench.connect()
        bench.set(listed, ",".join(words[1:]))
        too_many = r.SetVariables(settings=(VariableSetting(listed, ",".join(words)),))
        assert bench.ask(too_many).results[0].outcome == "Rejected"
        assert read(bench, listed) == ",".join(words[1:])


@effect(v.FEATURE_PROFILES_LENGTH)
def most_feature_profiles(_: Path) -> None:
    with pytest.raises(ValueError, match="more than 1 members"):
        Bench(variables={v.FEATURE_PROFILES_LENGTH: "1", v.FEATURE_PROFILES: "Core,Reservation"})


@effect(v.ITEMS_PER_GET)
def most_variables_at_a_time(_: Path) -> None:
    refs = (v.MODEL, v.VENDOR_NAME)
    bench = Bench(variables={v.ITEMS_PER_GET: "1"})
    bench.connect()
    assert len(bench.ask(r.GetVariables(refs=refs)).readings) == 1
    strict = Bench(TWO, variables={v.ITEMS_PER_GET: "1"})
    strict.connect()
    assert strict.ask(r.GetVariables(refs=refs)) is None
    assert strict.took(e.Refuse)[-1].too_much


@effect(v.ITEMS_PER_SET)
def most_settings_at_a_time(_: Path) -> None:
    settings = tuple(VariableSetting(ref, "7") for ref in (v.BLINK_REPEAT, v.LIGHT_INTENSITY))
    for most, done in ((2, True), (1, False)):
        bench = Bench(TWO, variables={v.ITEMS_PER_SET: f"{most}"})
        bench.connect()
        assert (bench.ask(r.SetVariables(settings=settings)) is not None) is done
        assert (read(bench, v.BLINK_REPEAT) == "7") is done
        assert [refused.too_much for refused in bench.took(e.Refuse)] == ([] if done else [True])


# Meter values


@effect(v.STARTED_MEASURANDS)
def values_of_the_start(_: Path) -> None:
    bench = Bench(variables={v.STARTED_MEASURANDS: "Power.Active.Import"})
    bench.charging()
    (started,) = bench.csms.told(TransactionStarted)
    measured = [sample.measurand for value in started.meter_values for sample in value.samples]
    assert measured == [Measurand.ENERGY_ACTIVE_IMPORT_REGISTER, Measurand.POWER_ACTIVE_IMPORT]


@effect(v.ALIGNED_ENDED_INTERVAL)
def aligned_values_of_the_end(_: Path) -> None:
    told = []
    for interval_s in ("60", "180"):
        variables = {
            v.ALIGNED_ENDED_INTERVAL: interval_s,
            v.ALIGNED_ENDED_MEASURANDS: "Energy.Active.Import.Register",
        }
        bench = Bench(variables=variables)
        bench.charging()
        bench.run(600)
        bench.tap(ALICE, 1)
        (ended,) = bench.csms.told(TransactionEnded)
        contexts = [value.samples[0].context for value in ended.meter_values]
        told.append(contexts.count(ReadingContext.SAMPLE_CLOCK))
    assert told == [10, 4]


# What the hardware is told


@effect(v.LIGHT_INTENSITY, v.BLINK_REPEAT, v.PHASE_ROTATION)
def told_to_the_hardware(_: Path) -> None:
    bench = Bench()
    bench.connect()
    wanted = {v.LIGHT_INTENSITY: "40", v.BLINK_REPEAT: "5", v.PHASE_ROTATION: "1.STR"}
    for ref, value in wanted.items():
        bench.set(ref, value)
    assert bench.took(e.Configure)[-3:] == [e.Configure(ref, value) for ref, value in wanted.items()]
    again = Bench(journal=bench.journal)
    assert {one.ref: one.value for one in again.took(e.Configure)}.items() >= wanted.items(), "also at a start"
    nonsense = r.SetVariables(settings=(VariableSetting(v.PHASE_ROTATION, "1.SRQ"),))
    assert bench.ask(nonsense).results[0].outcome == "Rejected"


# Smart charging


def installed(bench: Bench, profile: Any) -> str:
    return str(bench.ask(r.SetChargingProfile(evse_id=1, profile=profile)).outcome)


@effect(v.MOST_PROFILES, v.PROFILE_STACK_LEVEL, v.PERIODS_PER_SCHEDULE, v.RATE_UNIT)
def what_profiles_may_be(_: Path) -> None:
    cases: list[tuple[VariableRef, str, Any]] = [
        (v.MOST_PROFILES, "1", limit(8.0, profile_id=2, level=1)),
        (v.PROFILE_STACK_LEVEL, "2", limit(8.0, profile_id=2, level=3)),
        (v.PERIODS_PER_SCHEDULE, "2", limit(8.0, 9.0, 10.0, profile_id=2, level=1)),
        (v.RATE_UNIT, "A", limit(8000.0, profile_id=2, level=1, unit=ChargingRateUnit.W)),
    ]
    for ref, value, profile in cases:
        for variables, outcome in (({}, "Accepted"), ({ref: value}, "Rejected")):
            bench = Bench(variables=variables)
            bench.connect()
            assert installed(bench, limit(16.0)) == "Accepted"
            assert installed(bench, profile) == outcome, ref
    in_watts = r.GetCompositeSchedule(evse_id=1, duration_s=60, rate_unit=ChargingRateUnit.W)
    bench = Bench(variables={v.RATE_UNIT: "A"})
    bench.connect()
    assert bench.ask(in_watts).outcome == "Rejected"


@effect(v.PHASES_3_TO_1)
def from_three_phases_to_one(_: Path) -> None:
    offers = {}
    for may in ("true", "false"):
        bench = Bench(variables={v.PHASES_3_TO_1: may})
        bench.charging()
        installed(bench, limit(30.0, phases=1))
        offers[may] = [(one.limit_a, one.number_phases) for one in bench.took(e.SetLimit) if one.evse_id == 1][1:]
        bench.tap(ALICE, 1)
        bench.unplug()
        bench.charging()
        offers[may] += [(one.limit_a, one.number_phases) for one in bench.took(e.SetLimit)[-1:]]
    assert offers["true"] == [(32.0, 3), (30.0, 1), (30.0, 1)]
    assert offers["false"] == [(32.0, 3), (10.0, 3), (30.0, 1)], "the next transaction begins with one"


# Plug & Charge


@effect(x.CONTRACT_INSTALLATION)
def certificates_of_cars(folder: Path) -> None:
    for allowed in (True, False):
        variables = {x.CONTRACT_INSTALLATION: str(allowed).lower()}
        bench = Contracts(folder / str(allowed), MadeProvider(), variables=variables)
        bench.connect()
        bench.tell(i.EvCertificateWanted(1, "urn:iso:15118:2:2013:MsgDef", ContractAction.INSTALL, "ZXhp"))
        assert len(bench.central.of(r.Get15118EVCertificate)) == int(allowed)
        assert bench.took(e.GiveEvCertificate) == [e.GiveEvCertificate(1, "cmVz" if allowed else None)]


@effect(x.V2G_INSTALLATION)
def the_certificate_shown_to_cars(folder: Path) -> None:
    for asks in (True, False):
        bench = Contracts(folder / str(asks), MadeProvider(), variables={x.V2G_INSTALLATION: str(asks).lower()})
        bench.connect()
        bench.run(61)
        signing = [call for call in bench.central.of(r.SignCertificate) if call.use is CertificateSigningUse.V2G]
        assert bool(signing) is asks


@effect(x.SECC_ID, x.SECC_ORGANIZATION)
def names_in_it(folder: Path) -> None:
    bench = Contracts(folder, MadeProvider(), variables={x.SECC_ID: "DEFOR01", x.SECC_ORGANIZATION: "Yard"})
    bench.connect()
    assert bench.ask(SIGN).outcome == "Accepted"
    (request,) = [question.question for question in bench.took(e.AskSecurity) if names_of(question.question)]
    assert names_of(request) == ("DEFOR01", "Yard")
    assert isinstance(bench.csms, ContractCsms)


def names_of(question: Any) -> tuple[str, str] | None:
    if not isinstance(question, MakeSigningRequest):
        return None
    return question.common_name, question.organization


# Words for drivers


TEXTS: Final = (c.PriceText(text="0.12/kWh"), c.PriceText(text="0,12 €/kWh", language="de"))


@effect(x.MULTI_LANGUAGE, x.SUPPORTED_LANGUAGES)
def languages_of_the_csms(_: Path) -> None:
    shown = []
    for languages in ({}, {x.MULTI_LANGUAGE: "false"}, {x.SUPPORTED_LANGUAGES: "en,fr"}):
        bench = Bench(variables={x.COSTS_SHOWN: "true", x.MULTI_LANGUAGE: "true", x.LANGUAGE: "de", **languages})
        bench.connect()
        bench.ask(r.ShowPrice(id_token=BOB, texts=TEXTS))
        shown.append(bench.took(e.ShowPrices)[-1].text)
    assert shown == ["0,12 €/kWh", "0.12/kWh", "0.12/kWh"]


@effect(*x.DEFAULT_PRICE_TEXTS.values())
def default_price_in_each_language(_: Path) -> None:
    for language, ref in x.DEFAULT_PRICE_TEXTS.items():
        bench = Bench(variables={x.COSTS_SHOWN: "true", x.LANGUAGE: language})
        bench.connect()
        bench.set(ref, msgspec.json.encode({"priceText": f"in {language}"}).decode())
        assert bench.took(e.ShowPrices)[-1].text == f"in {language}"


# All of them


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def names_in(file: str) -> frozenset[str]:
    return frozenset(re.findall(r"[\w.]+", (HERE / file).read_text(encoding="utf-8")))


def names_of_variable(spec: VariableSpec) -> set[str]:
    names = {name for table in (v, x) for name, value in vars(table).items() if value == spec.ref}
    return {name for name in (*names, key(spec), str(spec.ref)) if name}


@pytest.mark.parametrize("spec", v.TABLE, ids=lambda spec: str(spec.ref))
def test_what_it_does_is_shown(spec: VariableSpec, tmp_path: Path) -> None:
    if spec.ref in EFFECTS:
        EFFECTS[spec.ref](tmp_path)
        return
    assert spec.ref in SHOWN_BY, "nothing shows that this variable does anything"
    file, _, test = SHOWN_BY[spec.ref].partition("::")
    assert test in functions(file), f"{file} has no {test}"
    assert names_in(file) & names_of_variable(spec), f"{file} does not speak of it"


def test_nothing_is_shown_of_what_is_not_there() -> None:
    assert SHOWN_BY.keys() | EFFECTS.keys() == {spec.ref for spec in v.TABLE}
    assert not SHOWN_BY.keys() & EFFECTS.keys()


def test_every_initial_value_is_one() -> None:
    variables = Variables({spec.ref: spec.default for spec in v.TABLE if spec.default is not None}, Measurand)
    for spec in v.TABLE:
        assert variables.read((spec.ref,))[0].ref == spec.ref
