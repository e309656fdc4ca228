"""Echoes every message, text as text, binary as binary."""

import asyncio
import ssl
import sys

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    port, *files = sys.argv[1:]  # for TLS, of certificate and key
    secure = None
    if files:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(*files)
    async with websockets.serve(
        echo, "127.0.0.1", int(port), ssl=secure, max_size=16 << 20, subprotocols=["chat"]
    ):
        await asyncio.Future()


asyncio.run(main())
