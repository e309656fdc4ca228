"""Echoes every message of WebSockets over HTTP/3 (RFC 9220), text as text, binary as binary.

Arguments of a server: serve, port, files of certificate and key. Once it serves, it listens on the same
port of TCP, too. Arguments of a client: connect, file of the authority to trust, URLs.
"""

import asyncio
import sys
from urllib.parse import urlsplit

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.extensions import PerMessageDeflate

SUBPROTOCOL = b"sec-websocket-protocol"
EXTENSIONS = b"sec-websocket-extensions"


class Echo:
    """The WebSocket of one stream."""

    def __init__(self, role, deflate):
        self.socket = Connection(role, [deflate])
        self.parts = []

    def receive(self, data):
        """Takes bytes, returns those to send and whether the WebSocket has ended."""
        out = b""
        if self.socket.state is ConnectionState.CLOSED:
            return out, True
        self.socket.receive_data(data)
        for event in self.socket.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                self.parts.append(event.data)
                if event.message_finished:
                    whole = event.data[:0].join(self.parts)
                    self.parts = []
                    out += self.socket.send(type(event)(whole))
            elif isinstance(event, (Ping, CloseConnection)):
                out += self.socket.send(event.response())
        return out, self.socket.state is ConnectionState.CLOSED


class Peer(QuicConnectionProtocol):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.http = H3Connection(self._quic)
        self.echoes = {}
        self.ended = asyncio.Event()

    def quic_event_received(self, event):
        if isinstance(event, StreamReset):
            self.end(event.stream_id)
        elif isinstance(event, ConnectionTerminated):
            self.ended.set()
        for received in self.http.handle_event(event):
            if isinstance(received, HeadersReceived):
                self.headers_received(received.stream_id, dict(received.headers))
            elif isinstance(received, DataReceived):
                self.data_received(received)

    def data_received(self, received):
        echo = self.echoes.get(received.stream_id)
        if echo is None:
            return
        out, ended = echo.receive(received.data)
        ended = ended or received.stream_ended
        if out or ended:
            self.http.send_data(received.stream_id, out, end_stream=ended)
        if ended:
            self.end(received.stream_id)

    def end(self, stream_id):
        self.echoes.pop(stream_id, None)
        if not self.echoes:
            self.ended.set()


class Server(Peer):
    def headers_received(self, stream_id, headers):
        if headers.get(b":protocol") != b"websocket":
            self.http.send_headers(stream_id, [(b":status", b"404")], end_stream=True)
            return
        response = [(b":status", b"200")]
        if headers.get(SUBPROTOCOL) == b"chat":
            response.append((SUBPROTOCOL, b"chat"))
        deflate = PerMessageDeflate()
        offer = headers.get(EXTENSIONS, b"").decode().split(",")[0]
        if offer.startswith(deflate.name):
            agreed = "; ".join(filter(None, [deflate.name, deflate.accept(offer)]))
            response.append((EXTENSIONS, agreed.encode()))
        self.echoes[stream_id] = Echo(ConnectionType.SERVER, deflate)
        self.http.send_headers(stream_id, response)


class Client(Peer):
    def open(self, url):
        parts = urlsplit(url)
        deflate = PerMessageDeflate()
        stream_id = self._quic.get_next_available_stream_id()
        self.echoes[stream_id] = None  # until the response comes
        self.http.send_headers(
            stream_id,
            [
                (b":method", b"CONNECT"),
                (b":protocol", b"websocket"),
                (b":scheme", b"https"),
                (b":authority", parts.netloc.encode()),
                (b":path", parts.path.encode()),
                (b"sec-websocket-version", b"13"),
                (SUBPROTOCOL, b"chat"),
                (EXTENSIONS, f"{deflate.name}; {deflate.offer()}".encode()),
            ],
        )

    def headers_received(self, stream_id, headers):
        if headers[b":status"] != b"200":
            raise ConnectionRefusedError(headers)
        deflate = PerMessageDeflate()
        if EXTENSIONS in headers:
            deflate.finalize(headers[EXTENSIONS].decode())
        self.echoes[stream_id] = Echo(ConnectionType.CLIENT, deflate)


async def run_server(port, certificate, key):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(certificate, key)
    await serve("127.0.0.1", int(port), configuration=configuration, create_protocol=Server)
    await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", int(port))
    await asyncio.Future()


async def run_client(authority, *urls):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN)
    configuration.load_verify_locations(authority)
    parts = urlsplit(urls[0])
    async with connect(
        parts.hostname, parts.port, configuration=configuration, create_protocol=Client
    ) as client:
        for url in urls:
            client.open(url)
        client.transmit()
        await client.ended.wait()


roles = {"serve": run_server, "connect": run_client}
asyncio.run(roles[sys.argv[1]](*sys.argv[2:]))
