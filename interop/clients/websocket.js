// Echoes every message over a connection of the npm package websocket. Arguments: URL, file of
// the authority to trust.
const { readFileSync } = require('fs');
const { client: Client } = require('websocket');

const [url, ca] = process.argv.slice(2);
const client = new Client({ maxReceivedMessageSize: 16 << 20, maxReceivedFrameSize: 16 << 20, tlsOptions: { ca: readFileSync(ca) } });
client.on('connect', (connection) => {
  connection.on('message', (message) => {
    if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
    else connection.sendBytes(message.binaryData);
  });
});
client.on('connectFailed', (error) => console.error(error));
client.connect(url, 'chat');
