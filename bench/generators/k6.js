// 100 connections, each sends when its last message was echoed, for 10 s.
import { WebSocket } from "k6/websockets";
import { Counter } from "k6/metrics";

export const options = { vus: 100, iterations: 100 };
const echoes = new Counter("echoes");
const message = "x".repeat(128);

export default function () {
  const ws = new WebSocket(__ENV.TARGET);
  ws.onopen = () => {
    ws.send(message);
    setTimeout(() => ws.close(), 10000);
  };
  ws.onmessage = (m) => {
    if (m.data !== message) throw new Error("another message");
    echoes.add(1);
    ws.send(message);
  };
}
