// Echoes every message, as it came: text as text, binary as binary.
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
