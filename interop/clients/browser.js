// Echoes every message, in a browser or in Node.js: what both call WebSocket.
function echo(url) {
  const socket = new WebSocket(url, 'chat');
  socket.binaryType = 'arraybuffer';
  socket.onmessage = (event) => socket.send(event.data);
}

if (typeof process !== 'undefined') echo(process.argv[2]);
