// The client of the package ws. Its README recommends bufferutil, which it finds by itself.
import { WebSocket } from 'ws'
import { fail, nextMessage, obey, received, work } from './lines.js'

const fresh = work.compression === 'fresh'
const options = {
  ca: work.ca,
  skipUTF8Validation: true,
  perMessageDeflate: work.compression !== 'none' && {
    threshold: 0, // messages of all sizes are compressed
    clientNoContextTakeover: fresh,
    serverNoContextTakeover: fresh,
    zlibDeflateOptions: { level: 1 },
  },
}

function dial() {
  return new Promise((resolve) => {
    const socket = new WebSocket(work.url, options)
    const send = () => socket.send(nextMessage())
    socket.on('open', () => {
      checkCompression(socket.extensions)
      resolve(send)
    })
    socket.on('message', (data) => {
      if (received(data.length)) send()
    })
    socket.on('error', fail)
    socket.on('close', (code) => fail(`closed: ${code}`))
  })
}

// What was agreed on is known by name only; the parameters have to be those of the options if these are false.
function checkCompression(agreed) {
  if ((agreed !== '') !== (work.compression !== 'none')) fail(`agreed on extensions: "${agreed}"`)
}

obey(dial, () => {
  global.gc()
  global.gc()
})
