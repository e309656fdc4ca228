// Echoes every message, text as text, binary as binary. Arguments: port, and for
// TLS the files of certificate and key.
const { readFileSync } = require('fs');
const http = require('http');
const https = require('https');
const { WebSocketServer } = require('ws');

const [port, cert, key] = process.argv.slice(2);
const web = cert ? https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }) : http.createServer();
const server = new WebSocketServer({
  server: web,
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
web.listen(Number(port), '127.0.0.1');
