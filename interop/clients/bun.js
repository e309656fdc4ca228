// Echoes every message with Bun's WebSocket. Arguments: URL, file of the authority to trust.
const [url, ca] = process.argv.slice(2);
const socket = new WebSocket(url, { protocols: ['chat'], tls: { ca: Bun.file(ca) } });
socket.binaryType = 'arraybuffer';
socket.onmessage = ({ data }) => socket.send(data);
socket.onerror = ({ message }) => console.error(message);
