package main

import (
	"context"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const topic = "websock/example"

// exchange3 publishes text with MQTT 3.1.1 and returns the text that the broker delivers.
func exchange3(ctx context.Context, broker, text string) (string, error) {
	options := mqtt.NewClientOptions().
		AddBroker(broker).
		SetClientID("websock-example-3").
		SetCustomOpenConnectionFn(func(to *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			return dial(ctx, to.String())
		})
	client := mqtt.NewClient(options)
	if err := done(ctx, client.Connect()); err != nil {
		return "", err
	}
	defer client.Disconnect(250)
	received := make(chan string, 1)
	err := done(ctx, client.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) { received <- string(m.Payload()) }))
	if err != nil {
		return "", err
	}
	if err := done(ctx, client.Publish(topic, 1, false, text)); err != nil {
		return "", err
	}
	return one(ctx, received)
}

// done waits until the operation of a token has ended.
func done(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func one(ctx context.Context, received <-chan string) (string, error) {
	select {
	case text := <-received:
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
