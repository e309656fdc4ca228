"""Echoes every message: an application for servers that speak ASGI."""


async def echo(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()  # websocket.connect
    chat = "chat" if "chat" in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chat})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        message = {key: event[key] for key in ("text", "bytes") if event.get(key) is not None}
        await send({"type": "websocket.send", **message})
