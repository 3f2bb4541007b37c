"""The dialect of OCPP 1.6-J: all of its profiles, its security extension, and Plug & Charge and prices through
DataTransfer.

Guarantees
* What `port.Dialect` promises; the rules of translation stand in `v16_calls`, `v16_requests`, `v16_meter`,
  `v16_profiles`, `v16_lists`, `v16_firmware`, `v16_certificates`, `v16_contracts`, `v16_costs` and `v16_keys`.
* A command of the Central System is answered by status where the message has one for it, never by an error.
* Every action of the version has a row, in the direction that it goes.
"""

from typing import Final

from forecourt.dialect import v16_certificates, v16_costs, v16_firmware, v16_lists, v16_requests
from forecourt.dialect.port import Dialect
from forecourt.dialect.tables import TableDialect
from forecourt.dialect.v16_at_once import AT_ONCE
from forecourt.dialect.v16_calls import NOTICES, hear_notice_answer, reply_to_notice, say_notice
from forecourt.domain.station import Capabilities
from forecourt.messages.v16 import REQUESTS
from forecourt.rpc.errors import FIRST_GENERATION

V16: Final[Dialect] = TableDialect(
    subprotocol="ocpp1.6",
    rules=FIRST_GENERATION,
    capabilities=Capabilities(
        csms_issues_transaction_ids=True,
        sequence_numbers=False,
        reports_charging_state_without_transaction=True,
        variables_in_batches=False,
        reset_on_idle=False,
        unlock_ends_transaction=True,
        profiles_replace_same_level=True,
        register_apart_at_end=True,
        plain_jobs_without_id=True,
        security_extension=True,
        iso15118_by_data_transfer=True,
        prices_by_messages=True,
        certificate_uses_at_once=False,
        reports_reservation_ends=False,
    ),
    known_actions=REQUESTS,
    calls=NOTICES | v16_requests.STATION_REQUESTS | v16_certificates.STATION_REQUESTS,
    requests=v16_requests.CSMS_REQUESTS
    | v16_lists.CSMS_REQUESTS
    | v16_firmware.CSMS_REQUESTS
    | v16_certificates.CSMS_REQUESTS,
    request_rows=v16_requests.REQUEST_ROWS
    | v16_lists.REQUEST_ROWS
    | v16_firmware.REQUEST_ROWS
    | v16_certificates.REQUEST_ROWS
    | v16_costs.REQUEST_ROWS,
    say_notice=say_notice,
    reply_to_notice=reply_to_notice,
    hear_notice_answer=hear_notice_answer,
    at_once=AT_ONCE,
)
