package netpoll_test

import (
	"fmt"
	"net"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/netpoll"
)

// A connection on which the opening handshake is done, carried by netpoll.
func ExampleFactory_Attach() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		server, err := l.Accept()
		if err == nil {
			server.Write([]byte("\x81\x05Hello\x88\x02\x03\xe8"))
			server.Read(make([]byte, 8)) // the close frame
			server.Close()
		}
	}()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}

	early := []byte("\x81\x05Early") // read with the handshake
	carried, err := netpoll.Transport().Attach(client, early)
	if err != nil {
		client.Close()
		fmt.Println(err)
		return
	}
	closed := make(chan error)
	conn := websock.NewConn(carried, websock.Client, websock.Options{})
	conn.SetHandler(websock.Messages(
		func(_ *websock.Conn, _ websock.Opcode, msg []byte) { fmt.Println(string(msg)) },
		func(_ *websock.Conn, err error) { closed <- err },
	))
	fmt.Println(<-closed)
	// Output:
	// Early
	// Hello
	// websock: closed by the peer: 1000 (normal closure)
}
