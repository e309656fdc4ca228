package std_test

import (
	"fmt"
	"net"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

// A connection over any net.Conn on which the opening handshake is done.
func ExampleNew() {
	client, server := net.Pipe()
	go server.Write([]byte("\x81\x05Hello"))

	early := []byte("\x81\x05Early") // was read together with the handshake
	conn := websock.NewConn(std.New(client, early), websock.Client, websock.Options{})
	for range 2 {
		_, msg, err := conn.RecvMessage(nil)
		fmt.Println(string(msg), err)
	}
	// Output:
	// Early <nil>
	// Hello <nil>
}
