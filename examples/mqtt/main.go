// Command mqtt publishes a message over MQTT over WebSocket and prints it when it comes back,
// once with each of Eclipse Paho's clients: that of MQTT 3.1.1 and that of MQTT 5. Both are
// given a connection that is made here.
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
