"""Break a CSMS under load, and audit it.

    python -m tools.survival --fault all --minutes 1 --stations 200
    python -m tools.survival --fault disk-full --single       one process on SQLite
    python -m tools.survival --fault soak --minutes 10        a day and more, at speed

Needs PostgreSQL's programs, nats-server and haproxy (not with --single). As root on Linux each server has a network
namespace and the database a disk of its own, which partitions and the faults of disks need. The exit code is 1 when a
promise was broken.
"""

import argparse
import asyncio
import signal
import sys

from tools.survival import faults
from tools.survival.hosts import in_a_network_of_its_own
from tools.survival.run import Plan, Verdict, survive
from tools.survival.servers import missing


async def _until_told(plan: Plan) -> Verdict:
    """`survive`; SIGTERM ends it, and all that it has started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await survive(plan, lambda line: print(line, flush=True))


def main() -> int:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", default="all", choices=["all", "soak", *faults.OF_A_CLUSTER])
    parser.add_argument("--minutes", type=float, default=1.0, help="for each fault")
    parser.add_argument("--stations", type=int, default=200)
    parser.add_argument("--pause", type=float, default=None, help="seconds between two messages of a station")
    parser.add_argument("--away", type=float, default=4.0, help="seconds that what is broken stays so at first")
    parser.add_argument("--single", action="store_true", help="one process on SQLite")
    parser.add_argument("--plain", action="store_true", help="no network namespaces")
    given = parser.parse_args()
    if lacking := missing(not given.single):
        print(f"not installed: {', '.join(lacking)}", file=sys.stderr)
        return 2
    if not given.plain and (code := in_a_network_of_its_own(sys.argv[1:])) is not None:
        return code
    known = faults.OF_ONE if given.single else faults.OF_A_CLUSTER
    if given.fault not in {"all", "soak", *known}:
        parser.error(f"one process on SQLite can have {', '.join(known)}")
    soak = given.fault == "soak"
    plan = Plan(
        faults=tuple(known) if given.fault == "all" else (given.fault,),
        stations=given.stations,
        seconds=given.minutes * 60,
        pause_s=given.pause if given.pause is not None else 0.05 if soak else 0.5,
        away_s=given.away,
        single=given.single,
        day=soak,
    )
    verdict = asyncio.run(_until_told(plan))
    print("FAILED" if verdict.wrong else "survived")
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
