"""Echoes every message, compressed. Arguments: port, takeover (true or false), window bits."""

import asyncio
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    port, takeover, bits = sys.argv[1:]
    deflate = ServerPerMessageDeflateFactory(
        server_no_context_takeover=takeover == "false",
        client_no_context_takeover=takeover == "false",
        server_max_window_bits=int(bits),
        client_max_window_bits=int(bits),
    )
    async with websockets.serve(
        echo, "127.0.0.1", int(port), max_size=16 << 20, compression=None, extensions=[deflate]
    ):
        await asyncio.Future()


asyncio.run(main())
