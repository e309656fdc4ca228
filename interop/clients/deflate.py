"""Echoes every message, compressed. Arguments: URL, takeover (true or false), window bits."""

import asyncio
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory


async def main():
    url, takeover, bits = sys.argv[1:]
    deflate = ClientPerMessageDeflateFactory(
        server_no_context_takeover=takeover == "false",
        client_no_context_takeover=takeover == "false",
        server_max_window_bits=int(bits),
        client_max_window_bits=int(bits),
    )
    async with websockets.connect(
        url, max_size=16 << 20, compression=None, extensions=[deflate]
    ) as socket:
        async for message in socket:
            await socket.send(message)


asyncio.run(main())
