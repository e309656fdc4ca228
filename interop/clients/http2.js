// Echoes every message of WebSockets that share an HTTP/2 connection (RFC 8441), with the npm package
// ws. Arguments: file of the authority to trust, URLs of the same server.
const { createHash } = require('crypto');
const { readFileSync } = require('fs');
const http2 = require('http2');
const { Duplex } = require('stream');
const WebSocket = require('ws');

const [ca, ...urls] = process.argv.slice(2);
const session = http2.connect(urls[0].replace(/^ws/, 'http'), { ca: readFileSync(ca) });
session.on('error', (error) => console.error(error));

// ws knows only the handshake of HTTP/1.1. A Tunnel sends its request as that of a stream, and
// translates the response.
class Tunnel extends Duplex {
  constructor(url) {
    super({ allowHalfOpen: false });
    this.url = new URL(url);
  }

  _write(chunk, encoding, done) {
    if (this.stream) {
      this.stream.write(chunk, done);
      return;
    }
    const request = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': this.url.protocol === 'wss:' ? 'https' : 'http',
      ':authority': this.url.host,
      ':path': this.url.pathname,
    };
    let key;
    for (const line of chunk.toString().split('\r\n').slice(1)) {
      const [name, value] = line.split(': ');
      if (/^sec-websocket-key$/i.test(name)) key = value;
      else if (/^sec-websocket-/i.test(name)) request[name.toLowerCase()] = value;
    }
    this.stream = session.request(request);
    this.stream.on('response', (headers) => this.respond(headers, key));
    this.stream.on('error', (error) => this.destroy(error));
    done();
  }

  respond(headers, key) {
    const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
    const lines = [
      headers[':status'] === 200 ? 'HTTP/1.1 101 Switching Protocols' : `HTTP/1.1 ${headers[':status']} Refused`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`,
    ];
    for (const name of ['sec-websocket-protocol', 'sec-websocket-extensions']) {
      if (headers[name]) lines.push(`${name}: ${headers[name]}`);
    }
    this.push(lines.join('\r\n') + '\r\n\r\n');
    this.stream.on('data', (data) => {
      if (!this.push(data)) this.stream.pause();
    });
    this.stream.on('end', () => this.push(null));
  }

  _read() {
    if (this.stream) this.stream.resume();
  }

  _final(done) {
    this.stream.end(done);
  }

  _destroy(error, done) {
    if (this.stream) this.stream.destroy();
    done(error);
  }
}

// ws asks Node.js's client of HTTP/1.1 for a connection.
for (const url of urls) {
  const socket = new WebSocket(url.replace(/^wss/, 'ws'), 'chat', {
    createConnection: () => new Tunnel(url),
    maxPayload: 16 << 20,
    perMessageDeflate: { threshold: 0 },
  });
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', (error) => console.error(error));
}
