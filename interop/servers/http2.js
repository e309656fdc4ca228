// Echoes every message of WebSockets over HTTP/2 (RFC 8441). Arguments: port, and for TLS the files of
// certificate and key.
const { readFileSync } = require('fs');
const http2 = require('http2');
const { WebSocketServer } = require('ws');

const [port, cert, key] = process.argv.slice(2);
const settings = { enableConnectProtocol: true };
const web = cert
  ? http2.createSecureServer({ settings, cert: readFileSync(cert), key: readFileSync(key) })
  : http2.createServer({ settings });
const server = new WebSocketServer({
  noServer: true,
  maxPayload: 16 << 20,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
});

web.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (headers[':protocol'] !== 'websocket') {
    stream.respond({ ':status': 404 }, { endStream: true });
    return;
  }
  // ws knows only the handshake of HTTP/1.1. Its response is sent as the stream's.
  const write = stream.write;
  stream.write = (text) => {
    stream.write = write;
    const response = { ':status': 200 };
    for (const line of text.split('\r\n').slice(1)) {
      const [name, value] = line.split(': ');
      if (/^sec-websocket-(protocol|extensions)$/i.test(name)) response[name.toLowerCase()] = value;
    }
    stream.respond(response);
  };
  const request = {
    method: 'GET',
    headers: { ...headers, upgrade: 'websocket', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
  };
  server.handleUpgrade(request, stream, Buffer.alloc(0), (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
});
web.listen(Number(port), '127.0.0.1');
