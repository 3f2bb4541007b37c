"""A vendor's own messages, between the CSMS and an application (OCPP 1.6 §4.3, §5.6)."""

from typing import Any

from forecourt.domain import requests as r
from forecourt.domain.requests import DataTransferAnswer, DataTransferStatus
from forecourt.station import effects as e
from forecourt.station import inputs as i
from tests.station.bench import Bench

HELLO = r.DataTransfer(vendor_id="COM.example", message_id="Hello", content="{}")


def bench_with_application() -> Bench:
    bench = Bench(data_transfer_vendors=("com.example",))
    bench.connect()
    return bench


def replies(bench: Bench) -> list[Any]:
    return [reply.answer for reply in bench.took(e.Reply)]


def test_the_application_answers_what_is_its_vendors() -> None:
    bench = bench_with_application()
    assert bench.ask(HELLO) is None
    [passed] = bench.took(e.PassDataTransfer)
    assert passed.request == HELLO
    answer = DataTransferAnswer(outcome=DataTransferStatus.ACCEPTED, content="hi")
    bench.tell(i.DataTransferAnswered(passed.reference, answer))
    bench.tell(i.DataTransferAnswered(passed.reference, answer))
    bench.tell(i.DataTransferAnswered("nothing", answer))
    assert replies(bench) == [answer]
    assert bench.ask(r.DataTransfer(vendor_id="com.other")).outcome == "UnknownVendorId"


def test_an_application_that_says_nothing_has_rejected() -> None:
    bench = bench_with_application()
    bench.ask(HELLO)
    bench.run(14.0)
    assert replies(bench) == []
    bench.run(2.0)
    assert [answer.outcome for answer in replies(bench)] == ["Rejected"]
    bench.run(60.0)
    assert len(replies(bench)) == 1


def test_who_asked_on_a_connection_that_is_gone_gets_no_answer() -> None:
    bench = bench_with_application()
    bench.ask(HELLO)
    bench.disconnect()
    bench.connect()
    bench.run(60.0)
    assert replies(bench) == []


def test_a_reset_is_rejected_while_the_hardware_does_not_allow_it() -> None:
    bench = bench_with_application()
    bench.tell(i.ResetsAllowed(False))
    assert bench.ask(r.Reset()).outcome == "Rejected"
    assert not bench.took(e.Reboot)
    bench.tell(i.ResetsAllowed(True))
    assert bench.ask(r.Reset()).outcome == "Accepted"
    assert len(bench.took(e.Reboot)) == 1
