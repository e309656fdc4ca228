// Echoes every message with the npm package websocket. Arguments: port, and for TLS the files
// of certificate and key.
const { readFileSync } = require('fs');
const http = require('http');
const https = require('https');
const { server: Server } = require('websocket');

const [port, cert, key] = process.argv.slice(2);
const web = cert ? https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }) : http.createServer();
const server = new Server({ httpServer: web, maxReceivedMessageSize: 16 << 20, maxReceivedFrameSize: 16 << 20 });
server.on('request', (request) => {
  const chat = request.requestedProtocols.includes('chat') ? 'chat' : null;
  const connection = request.accept(chat, request.origin);
  connection.on('message', (message) => {
    if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
    else connection.sendBytes(message.binaryData);
  });
});
web.listen(Number(port), '127.0.0.1');
