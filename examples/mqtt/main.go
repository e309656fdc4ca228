// Command mqtt publishes a message with MQTT over WebSocket and prints it when the broker delivers
// it. It does so with both of Eclipse Paho's clients, for MQTT 3.1.1 and for MQTT 5, over
// connections that it opens for them.
//
//	cd examples/mqtt && go run . ws://127.0.0.1:8083/
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: mqtt URL")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for version, exchange := range map[string]func(context.Context, string, string) (string, error){
		"3.1.1": exchange3,
		"5":     exchange5,
	} {
		got, err := exchange(ctx, os.Args[1], "Hello over MQTT "+version)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(got)
	}
}
