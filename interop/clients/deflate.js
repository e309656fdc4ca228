// Echoes every message, compressed. Arguments: URL, takeover (true or false), window bits.
const WebSocket = require('ws');

const [url, takeover, bits] = process.argv.slice(2);
const socket = new WebSocket(url, {
  maxPayload: 16 << 20,
  perMessageDeflate: {
    threshold: 0,
    serverNoContextTakeover: takeover === 'false',
    clientNoContextTakeover: takeover === 'false',
    serverMaxWindowBits: Number(bits),
    clientMaxWindowBits: Number(bits),
  },
});
socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
