// The WebSocket of Bun. It can't choose the level of compression, nor refuse context takeover.
import { fail, nextMessage, obey, received, refuseCompression, work } from './lines.js'

if (work.compression !== 'none') refuseCompression()

const options = { perMessageDeflate: false, tls: { ca: work.ca } }

function dial() {
  return new Promise((resolve) => {
    const socket = new WebSocket(work.url, options)
    socket.binaryType = 'nodebuffer'
    const send = () => socket.send(nextMessage())
    socket.onopen = () => resolve(send)
    socket.onmessage = ({ data }) => {
      if (received(data.length)) send()
    }
    socket.onerror = ({ message }) => fail(message)
    socket.onclose = ({ code, reason }) => fail(`closed: ${code} ${reason}`)
  })
}

obey(dial, () => {
  Bun.gc(true)
  Bun.gc(true)
})
