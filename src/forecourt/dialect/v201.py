"""The dialect of OCPP 2.0.1: boot, status, authorization, transactions, meter values, variables, smart charging, local
lists, reservations, firmware, logs, certificates, contracts, security events and costs.

Guarantees
* What `port.Dialect` promises; the rules of translation stand in `v201_calls`, `v201_transactions`, `v201_requests`,
  `v201_variables`, `v201_meter`, `v201_profiles`, `v201_lists`, `v201_firmware`, `v201_certificates`,
  `v201_costs` and `v201_words`.
"""

from typing import Final

from forecourt.dialect import v201_certificates, v201_costs, v201_firmware, v201_lists, v201_requests
from forecourt.dialect.port import Dialect
from forecourt.dialect.tables import TableDialect
from forecourt.dialect.v201_calls import NOTICES, hear_notice_answer, reply_to_notice, say_notice
from forecourt.domain.station import Capabilities
from forecourt.messages.v201 import REQUESTS
from forecourt.rpc.errors import SECOND_GENERATION

V201: Final[Dialect] = TableDialect(
    subprotocol="ocpp2.0.1",
    rules=SECOND_GENERATION,
    capabilities=Capabilities(
        csms_issues_transaction_ids=False,
        sequence_numbers=True,
        reports_charging_state_without_transaction=False,
        variables_in_batches=True,
        reset_on_idle=True,
        reports_variables_in_parts=True,
    ),
    known_actions=REQUESTS,
    calls=NOTICES | v201_requests.STATION_REQUESTS | v201_certificates.STATION_REQUESTS,
    requests=v201_requests.CSMS_REQUESTS
    | v201_lists.CSMS_REQUESTS
    | v201_firmware.CSMS_REQUESTS
    | v201_certificates.CSMS_REQUESTS
    | v201_costs.CSMS_REQUESTS,
    request_rows=v201_requests.REQUEST_ROWS
    | v201_lists.REQUEST_ROWS
    | v201_firmware.REQUEST_ROWS
    | v201_certificates.REQUEST_ROWS
    | v201_costs.REQUEST_ROWS,
    say_notice=say_notice,
    reply_to_notice=reply_to_notice,
    hear_notice_answer=hear_notice_answer,
)
