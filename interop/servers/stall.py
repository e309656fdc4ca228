"""Echoes every message, but does nothing for 2 s, once, a second after the first one. Argument: port."""

import asyncio
import sys
import time

import websockets

stalls = False


async def echo(socket, path=None):
    global stalls
    async for message in socket:
        if not stalls:
            stalls = True
            asyncio.get_running_loop().call_later(1, time.sleep, 2)
        await socket.send(message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Future()


asyncio.run(main())
