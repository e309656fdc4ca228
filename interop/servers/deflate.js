// Echoes every message, compressed. Arguments: port, takeover (true or false), window bits.
const { WebSocketServer } = require('ws');

const [port, takeover, bits] = process.argv.slice(2);
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(port),
  maxPayload: 16 << 20,
  perMessageDeflate: {
    threshold: 0,
    serverNoContextTakeover: takeover === 'false',
    clientNoContextTakeover: takeover === 'false',
    serverMaxWindowBits: Number(bits),
    clientMaxWindowBits: Number(bits),
  },
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
