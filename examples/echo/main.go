// Command echo sends one message to a WebSocket server and prints what comes back,
// piece by piece.
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
	buf := make([]byte, 8) // smaller than the message: that's fine
	for {
		h, n, err := conn.RecvTimeout(buf, time.Second)
		switch {
		case errors.Is(err, websock.ErrTimeout):
			continue // nothing is lost: go on at the same byte
		case err != nil:
			log.Fatal(err)
		}
		fmt.Printf("%s", buf[:n]) // h.Opcode < 0: the header isn't complete yet, and n is 0
		if h.Opcode >= 0 && h.Fin && h.Remaining == 0 {
			return
		}
	}
}
