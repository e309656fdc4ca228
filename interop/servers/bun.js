// Echoes every message with Bun. Arguments: port, and for TLS the files of certificate and key.
const [port, cert, key] = process.argv.slice(2);
Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  tls: cert && { cert: Bun.file(cert), key: Bun.file(key) },
  fetch(request, server) {
    const offered = (request.headers.get('sec-websocket-protocol') || '').split(/, */);
    const headers = offered.includes('chat') ? { 'Sec-WebSocket-Protocol': 'chat' } : {};
    if (!server.upgrade(request, { headers })) return new Response('only WebSockets', { status: 400 });
  },
  websocket: {
    maxPayloadLength: 16 << 20,
    perMessageDeflate: true,
    message: (socket, message) => void socket.send(message, true), // compressed, if that was negotiated
  },
});
