"""Wants a login, and then answers requests: those with an even id at once, others after 40 ms, so that
answers come in another order. Argument: port."""

import asyncio
import json
import sys

import websockets


async def answer_later(socket, message):
    await asyncio.sleep(0.04)
    await socket.send(message)


async def serve(socket, path=None):
    login = json.loads(await socket.recv())
    if login.get("op") != "login" or not login.get("token"):
        await socket.close(4401, "log in first")
        return
    await socket.send(json.dumps({"reply_to": login["id"], "ok": True}))
    tasks = set()
    async for message in socket:
        request = json.loads(message)
        reply = json.dumps({"reply_to": request["id"], "price": 5})
        if request["id"] % 2 == 0:
            await socket.send(reply)
            continue
        task = asyncio.ensure_future(answer_later(socket, reply))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def main():
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Future()


asyncio.run(main())
