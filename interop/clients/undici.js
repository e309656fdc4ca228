// Echoes every message of WebSockets that share an HTTP/2 connection (RFC 8441), with the npm package
// undici, which opens one after another. Arguments: file of the authority to trust, URLs of the same
// server.
const { readFileSync } = require('fs');
const { Agent, WebSocket } = require('undici');

const [ca, ...urls] = process.argv.slice(2);
const dispatcher = new Agent({ allowH2: true, connections: 1, connect: { ca: readFileSync(ca) } });

function openAll([url, ...more]) {
  if (!url) return;
  const socket = new WebSocket(url, { protocols: 'chat', dispatcher });
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => openAll(more);
  socket.onmessage = (event) => socket.send(event.data);
  socket.onerror = (event) => console.error(event.error);
}

openAll(urls);
