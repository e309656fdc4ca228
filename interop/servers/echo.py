"""Echoes every message, as it came: text as text, binary as binary."""

import asyncio
import sys

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(
        echo, "127.0.0.1", int(sys.argv[1]), max_size=16 << 20, subprotocols=["chat"]
    ):
        await asyncio.Future()


asyncio.run(main())
