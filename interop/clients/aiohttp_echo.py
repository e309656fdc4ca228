"""Echoes every message with aiohttp. Arguments: URL, file of the authority to trust."""

import asyncio
import ssl
import sys

import aiohttp


async def main():
    url, ca = sys.argv[1:]
    async with aiohttp.ClientSession() as session, session.ws_connect(
        url,
        ssl=ssl.create_default_context(cafile=ca),
        protocols=["chat"],
        max_msg_size=16 << 20,
        compress=15,
    ) as socket:
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type == aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)


asyncio.run(main())
