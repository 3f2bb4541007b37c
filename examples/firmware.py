"""The firmware of one EVSE with a car that charges: python examples/firmware.py [PREFIX] [HOST] [PORT]."""

import asyncio
import json
import sys

import aiomqtt


async def main(prefix: str = "forecourt/station-1", host: str = "127.0.0.1", port: str = "1883") -> None:
    card = "04A2B3C4"
    wanted = {"status": {"online": False}, "evse/1/control": {"power_path": False, "limit_a": 0.0}}
    will = aiomqtt.Will(f"{prefix}/firmware/status", '{"online": false}', qos=1, retain=True)
    async with aiomqtt.Client(host, int(port), will=will) as broker:

        async def say(topic: str, qos: int = 1, retain: bool = True, **said: object) -> None:
            await broker.publish(f"{prefix}/firmware/{topic}", json.dumps(said), qos, retain)

        async def listen() -> None:
            await broker.subscribe(f"{prefix}/stack/#", 1)
            async for message in broker.messages:
                wanted[message.topic.value.removeprefix(f"{prefix}/stack/")] = json.loads(message.payload)

        listening, energy_wh = asyncio.create_task(listen()), 0.0
        await say("evse/1/meter", energy_wh=energy_wh)
        await say("evse/1/pilot", pilot="B")  # a car is there
        await say("status", online=True)  # last of all: now what we have said counts
        await say("evse/1/token", 2, False, id_token=card)  # and its driver has a card
        while not listening.done():
            flows = wanted["status"]["online"] and wanted["evse/1/control"]["power_path"]
            current_a = min(16.0, wanted["evse/1/control"]["limit_a"]) if flows else 0.0
            energy_wh += 3 * 230 * current_a * 0.5 / 3600
            await say("evse/1/meter", energy_wh=energy_wh, power_w=690 * current_a, current_a=[current_a] * 3)
            await say("evse/1/pilot", pilot="C" if current_a else "B")
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
