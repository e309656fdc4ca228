"""Echoes every message. Arguments: URL, file of the authority to trust."""

import asyncio
import ssl
import sys

import websockets


async def main():
    url, ca = sys.argv[1:]
    secure = ssl.create_default_context(cafile=ca) if url.startswith("wss:") else None
    async with websockets.connect(
        url, ssl=secure, max_size=16 << 20, subprotocols=["chat"]
    ) as socket:
        async for message in socket:
            await socket.send(message)


asyncio.run(main())
