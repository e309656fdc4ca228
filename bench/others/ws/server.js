// The server of the package ws. By default it doesn't compress.
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  backlog: 4096,
  skipUTF8Validation: true,
})

server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    if (isBinary) {
      socket.send(data)
      return
    }
    for (const client of server.clients) client.send(data, { binary: false })
  })
  socket.on('error', () => socket.terminate())
})
