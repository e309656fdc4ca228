package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// Decoding without any I/O: the bytes may come from anywhere, cut anywhere.
func ExampleDecoder() {
	d := engine.NewDecoder(engine.Client, engine.Limits{})
	for _, chunk := range []string{"\x81", "\x05He", "llo\x89\x02hi\x82\x00"} {
		src := []byte(chunk)
		for {
			event, n, err := d.Next(src)
			if err != nil {
				fmt.Println(err)
				return
			}
			src = src[n:]
			if event.Kind == engine.EventNone {
				break
			}
			fmt.Printf("%v of %v frame: %q\n", event.Kind, event.Header.Opcode, event.Payload)
		}
	}
	// Output:
	// data of text frame: "He"
	// data of text frame: "llo"
	// ping of ping frame: "hi"
	// data of binary frame: ""
}

func ExampleParseHeader() {
	h, n, err := engine.ParseHeader([]byte{0x82, 0x7e, 0x01, 0x00})
	fmt.Println(h.Opcode, h.Fin, h.Length, n, err)

	_, n, err = engine.ParseHeader([]byte{0x82, 0x7e})
	fmt.Println(n, err) // more bytes are needed
	// Output:
	// binary true 256 4 <nil>
	// 0 <nil>
}

// pair returns two ends of a connection, without a handshake.
func pair() (client, server *engine.Conn) {
	a, b := net.Pipe()
	client = engine.NewConn(std.New(a, nil), engine.Options{Role: engine.Client})
	server = engine.NewConn(std.New(b, nil), engine.Options{Role: engine.Server})
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
		if h.Opcode != engine.OpNone && h.Fin && h.Remaining == 0 {
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
		w, err := client.NextWriter(engine.OpText)
		if err != nil {
			return
		}
		for i := range 3 {
			fmt.Fprintf(w, "line %d\n", i)
		}
		w.Close()
		client.CloseWith(engine.CloseGoingAway, "that was all")
	}()
	_, r, err := server.NextReader()
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, _ := io.ReadAll(r)
	fmt.Print(string(msg))

	_, _, err = server.NextReader()
	var closed *engine.CloseError
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

func ExampleMessages() {
	client, server := pair()
	done := make(chan struct{})
	client.SetHandler(engine.Messages(
		func(c *engine.Conn, op engine.Opcode, msg []byte) { fmt.Println(op, string(msg)) },
		func(c *engine.Conn, err error) { close(done) },
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
