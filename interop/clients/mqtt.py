"""Publishes messages to itself over WebSocket with paho-mqtt. Arguments: port, and the version of MQTT."""

import queue
import sys

import paho.mqtt.client as mqtt

port, version = sys.argv[1:]
versions = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}
arrived = queue.Queue()
client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2, client_id="tester", protocol=versions[version], transport="websockets"
)
client.ws_set_options(path="/mqtt")
client.on_subscribe = lambda *_: arrived.put(b"subscribed")
client.on_message = lambda _client, _data, message: arrived.put(message.payload)
client.connect("127.0.0.1", int(port))
client.loop_start()
client.subscribe("prices/#", qos=1)
assert arrived.get(timeout=20) == b"subscribed"
for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
    client.publish("prices/a", b"x" * size, qos=1)
    received = arrived.get(timeout=20)
    assert received == b"x" * size, f"{len(received)} bytes, not {size}"
client.disconnect()
client.loop_stop()
print("all arrived")
