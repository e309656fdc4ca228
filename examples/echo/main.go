// Command echo sends one message to a WebSocket server and prints the answer as it arrives.
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
		log.Fatal(err) // a *websock.HandshakeError: status, header, start of the body
	}
	defer conn.Close()
	if err := conn.SendText([]byte("Hello, WebSocket")); err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 8) // may be smaller than the message
	for {
		h, n, err := conn.RecvTimeout(buf, time.Second)
		switch {
		case errors.Is(err, websock.ErrTimeout):
			continue // nothing is lost: continue at the same byte
		case err != nil:
			log.Fatal(err)
		}
		fmt.Printf("%s", buf[:n]) // while the header is incomplete, h.Opcode is negative and n is 0
		if h.Opcode >= 0 && h.Fin && h.Remaining == 0 {
			return
		}
	}
}
