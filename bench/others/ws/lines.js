// What bench/others/README.md demands of a client, apart from what its library does.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const concurrentDials = 32
const cannotCompress = 3 // exit status

const [url, size, window, compression, feed, certificate] = process.argv.slice(2)

export const work = {
  url,
  window: Number(window),
  compression,
  ca: certificate === '-' ? undefined : readFileSync(certificate),
}

const messageSize = Number(size)
const payloads = feed === '-' ? Buffer.alloc(messageSize) : readFileSync(feed)
let nextPayload = 0

/** Returns the payload of the next message to send. */
export function nextMessage() {
  const start = nextPayload
  nextPayload = start + messageSize < payloads.length ? start + messageSize : 0
  return payloads.subarray(start, start + messageSize)
}

const connections = []
let sinceReport = 0

/** Counts a received message, and reports whether to send another one. */
export function received(length) {
  if (length !== messageSize) fail(`a message of ${length} bytes instead of ${messageSize}`)
  if (work.window > 0) return true
  if (++sinceReport === connections.length) {
    sinceReport = 0
    answer('received')
  }
  return false
}

/** Ends the process because of an error. */
export function fail(reason) {
  console.error(reason)
  process.exit(1)
}

/** Ends the process because the library can't compress as demanded. */
export function refuseCompression() {
  process.exit(cannotCompress)
}

function answer(line) {
  process.stdout.write(line + '\n')
}

/**
 * Does what the lines of standard input say. dial opens a connection and returns a promise of its function
 * that sends a message; collect frees what memory it can.
 */
export async function obey(dial, collect) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, n] = line.split(' ')
    switch (command) {
      case 'open':
        await open(dial, Number(n))
        answer('opened')
        break
      case 'start':
        answer('started')
        for (const send of connections) for (let i = 0; i < work.window; i++) send()
        break
      case 'settle':
        collect()
        answer('settled')
        break
      default:
        fail(`unknown line: ${line}`)
    }
  }
  process.exit(0)
}

async function open(dial, n) {
  let left = n
  const dialer = async () => {
    while (left-- > 0) connections.push(await dial())
  }
  await Promise.all(Array.from({ length: Math.min(n, concurrentDials) }, dialer))
}
