// Sends ten messages a second to each connection that has subscribed, with the time. Argument: port.
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ port: Number(process.argv[2]), host: '127.0.0.1' });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    if (JSON.parse(data).op !== 'subscribe') {
      socket.send(JSON.stringify({ error: 'subscribe first' }));
      return;
    }
    socket.send(JSON.stringify({ type: 'subscribed' }));
    const timer = setInterval(() => socket.send(JSON.stringify({ type: 'tick', ts: Date.now() })), 100);
    socket.on('close', () => clearInterval(timer));
  });
});
