"""Connects with paho and gets back what it publishes. Arguments: ws, wss or tls; the port; the folder of certificates."""

import sys
import threading

import paho.mqtt.client as mqtt

kind, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sizes = [1, 200, 70_000, 300_000]
received = []
done = threading.Event()


def on_connect(client, _userdata, _flags, reason, _properties):
    assert reason == 0, reason
    client.subscribe("paho/t", qos=1)


def on_subscribe(client, _userdata, _mid, _reasons, _properties):
    for size in sizes:
        client.publish("paho/t", bytes(size), qos=1)


def on_message(_client, _userdata, message):
    received.append(len(message.payload))
    if len(received) == len(sizes):
        done.set()


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=f"paho-{kind}",
    protocol=mqtt.MQTTv5,
    transport="tcp" if kind == "tls" else "websockets",
)
if kind != "ws":
    client.tls_set(f"{folder}/ca.pem", f"{folder}/client.pem", f"{folder}/client.key")
if kind != "tls":
    client.ws_set_options(path="/mqtt")
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", port)
client.loop_start()
assert done.wait(60), received
assert received == sizes, received
client.disconnect()
client.loop_stop()
