package main

import (
	"context"

	"github.com/eclipse/paho.golang/paho"
)

// exchange5 publishes text with MQTT 5 and returns the text that the broker delivers.
func exchange5(ctx context.Context, broker, text string) (string, error) {
	conn, err := dial(ctx, broker)
	if err != nil {
		return "", err
	}
	received := make(chan string, 1)
	client := paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			received <- string(p.Packet.Payload)
			return true, nil
		}},
	})
	if _, err := client.Connect(ctx, &paho.Connect{ClientID: "websock-example-5", CleanStart: true, KeepAlive: 30}); err != nil {
		conn.Close()
		return "", err
	}
	defer client.Disconnect(&paho.Disconnect{})
	subscription := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: 1}}}
	if _, err := client.Subscribe(ctx, subscription); err != nil {
		return "", err
	}
	if _, err := client.Publish(ctx, &paho.Publish{Topic: topic, QoS: 1, Payload: []byte(text)}); err != nil {
		return "", err
	}
	return one(ctx, received)
}
