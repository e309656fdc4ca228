package websock_test

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

// pair returns two ends of a connection, without a handshake.
func pair() (client, server *websock.Conn) {
	a, b := net.Pipe()
	client = websock.NewConn(std.New(a, nil), websock.Client, websock.Options{})
	server = websock.NewConn(std.New(b, nil), websock.Server, websock.Options{})
	return client, server
}

// Receiving into a buffer that is smaller than the message.
func ExampleConn_Recv() {
	client, server := pair()
	go func() {
		server.SendText([]byte("Hello, world"))
		server.Recv(nil) // takes the client's close frame
		server.Close()
	}()
	buf := make([]byte, 5)
	for {
		h, n, err := client.Recv(buf)
		if err != nil {
			fmt.Println(err)
			return
		}
		if n > 0 {
			fmt.Printf("%s: %q\n", h.Opcode, buf[:n])
		}
		if h.Opcode != websock.OpNone && h.Fin && h.Remaining == 0 {
			break
		}
	}
	client.Close()
	// Output:
	// text: "Hello"
	// text: ", wor"
	// text: "ld"
}

func ExampleConn_NextWriter() {
	client, server := pair()
	go func() {
		w, err := client.NextWriter(websock.OpText)
		if err != nil {
			return
		}
		for i := range 3 {
			fmt.Fprintf(w, "line %d\n", i)
		}
		w.Close()
		client.CloseWith(websock.CloseGoingAway, "that was all")
	}()
	_, r, err := server.NextReader()
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, _ := io.ReadAll(r)
	fmt.Print(string(msg))

	_, _, err = server.NextReader()
	var closed *websock.CloseError
	if errors.As(err, &closed) {
		fmt.Println(closed.Code, closed.Reason)
	}
	server.Close()
	// Output:
	// line 0
	// line 1
	// line 2
	// 1001 (going away) that was all
}

func ExampleConn_SetHandler() {
	client, server := pair()
	done := make(chan struct{})
	client.SetHandler(websock.Messages(
		func(c *websock.Conn, op websock.Opcode, msg []byte) { fmt.Println(op, string(msg)) },
		func(c *websock.Conn, err error) { close(done) },
	))
	server.SendText([]byte("one"))
	server.SendBinary([]byte("two"))
	server.Close()
	<-done
	// Output:
	// text one
	// binary two
}

// Writing straight into the memory that is sent.
func ExampleConn_Reserve() {
	client, server := pair()
	go func() {
		buf, err := client.Reserve(100)
		if err != nil {
			return
		}
		n := copy(buf.Bytes(), "no copy")
		buf.SendText(n)
		client.Close()
	}()
	_, msg, err := server.RecvMessage(nil)
	fmt.Println(string(msg), err)
	server.Recv(nil)
	server.Close()
	// Output: no copy <nil>
}
