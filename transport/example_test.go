package transport_test

import (
	"errors"
	"fmt"
	"net"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// limited is a Factory that carries only so many connections.
type limited struct {
	transport.Factory
	left int
}

func (l *limited) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	if l.left == 0 {
		return nil, errors.New("no room for another connection")
	}
	l.left--
	return l.Factory.Attach(conn, early)
}

// A Factory may wrap another one. This one is ready for websock.Config.Transport.
func ExampleFactory() {
	f := &limited{Factory: std.Transport(), left: 1}
	for range 2 {
		client, server := net.Pipe()
		defer server.Close()
		c, err := f.Attach(client, []byte("early"))
		if err != nil {
			fmt.Println(err)
			continue
		}
		view, _ := c.View()
		fmt.Printf("%s\n", view)
		c.Close()
	}
	// Output:
	// early
	// no room for another connection
}
