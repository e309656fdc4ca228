// Echoes every message over a connection of the npm package ws. Arguments: URL, file of the
// authority to trust.
const { readFileSync } = require('fs');
const WebSocket = require('ws');

const [url, ca] = process.argv.slice(2);
const socket = new WebSocket(url, 'chat', { ca: readFileSync(ca), maxPayload: 16 << 20, perMessageDeflate: { threshold: 0 } });
socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
