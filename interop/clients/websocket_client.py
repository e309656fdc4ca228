"""Echoes every message with websocket-client. Arguments: URL, file of the authority to trust."""

import sys

import websocket

url, ca = sys.argv[1:]
socket = websocket.create_connection(url, subprotocols=["chat"], sslopt={"ca_certs": ca})
while True:
    opcode, message = socket.recv_data()
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        break
    socket.send(message, opcode)
