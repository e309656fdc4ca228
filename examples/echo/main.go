// Command echo sends one message to a WebSocket server and prints the answer.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/seed004e8d11/websock"
)

func main() {
	conn, err := websock.Dial(context.Background(), os.Args[1], nil)
	if err != nil {
		log.Fatal(err) // says what the server answered
	}
	defer conn.Close()
	if err := conn.SendText([]byte("Hello, WebSocket")); err != nil {
		log.Fatal(err)
	}
	var msg []byte
	for {
		conn.SetRecvDeadline(time.Now().Add(time.Second))
		_, msg, err = conn.RecvMessage(msg)
		switch {
		case err == nil:
			fmt.Printf("%s", msg)
			return
		case errors.Is(err, websock.ErrTimeout):
			log.Print("still waiting") // nothing is lost: msg is continued
		default:
			log.Fatal(err)
		}
	}
}
