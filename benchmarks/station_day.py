"""What a day of one station takes: 24 hours with clock-aligned values, a profile and hours offline, in virtual time.

python benchmarks/station_day.py [--rounds 5] [--json]
"""

import argparse
import json
import statistics
import time

from forecourt.sim.station_day import StationDay

MOST_S = 5.0


def measured() -> tuple[float, int]:
    """Processor seconds, and calls that the station made."""
    began_s = time.process_time()
    day = StationDay()
    day.run()
    return time.process_time() - began_s, len(day.told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rounds = [measured() for _ in range(given.rounds)]
    day_s = statistics.median(seconds for seconds, _ in rounds)
    if given.json:
        claim = {"ours": "24 h of one station", "against": f"{MOST_S:g} s", "ratio": day_s / MOST_S, "at_most": 1.0}
        print(json.dumps({"claims": [claim], "seconds": day_s, "calls": rounds[0][1]}))
        return
    print(f"24 h of one station: {day_s:.2f} s, median of {given.rounds} rounds; {rounds[0][1]} calls to the CSMS")


if __name__ == "__main__":
    main()
