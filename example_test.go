package websock_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
)

// echoServer is a server that sends back every message.
func echoServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return // the request has been answered
		}
		defer conn.Close()
		for {
			op, msg, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			conn.SendFrame(op, true, msg)
		}
	}))
}

func ExampleDial() {
	server := echoServer()
	defer server.Close()
	ctx := context.Background()

	conn, err := websock.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	conn.SendText([]byte("Hello"))
	op, msg, err := conn.RecvMessage(nil)
	fmt.Println(op, string(msg), err)
	// Output: text Hello <nil>
}

// Receiving piece by piece into a small buffer, with a timeout that loses nothing.
func ExampleOpen() {
	server := echoServer()
	defer server.Close()
	addr := server.Listener.Addr().String()
	host, port, _ := strings.Cut(addr, ":")
	cfg := websock.Config{Host: host, Path: "/chat", Timeout: time.Second}
	fmt.Sscan(port, &cfg.Port)

	conn, err := websock.Open(context.Background(), cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	conn.SendText([]byte("a long message"))
	buf := make([]byte, 6)
	for {
		h, n, err := conn.RecvTimeout(buf, 5*time.Second)
		if err != nil {
			fmt.Println(err)
			return
		}
		if h.Opcode == websock.OpNone {
			continue // the header isn't complete yet
		}
		fmt.Printf("%q, %d bytes to come\n", buf[:n], h.Remaining)
		if h.Fin && h.Remaining == 0 {
			return
		}
	}
	// Output:
	// "a long", 8 bytes to come
	// " messa", 2 bytes to come
	// "ge", 0 bytes to come
}

// A server that answers by callback.
func ExampleAccept() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, &websock.AcceptOptions{
			Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				c.SendFrame(op, true, []byte(strings.ToUpper(string(msg))))
			}, nil),
		})
	}))
	defer server.Close()

	conn, err := websock.Dial(context.Background(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	conn.SendText([]byte("hello"))
	_, msg, _ := conn.RecvMessage(nil)
	fmt.Println(string(msg))
	// Output: HELLO
}

// Messages that are alike, as those of one connection mostly are, take little when each may
// refer to those before it.
func ExampleConfig_compression() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{Compression: websock.DefaultCompression})
		if err != nil {
			return
		}
		for i := range 3 {
			conn.SendText(fmt.Appendf(nil, `{"symbol":"ABC","side":"sell","price":%d,"note":"much the same every time, as in most feeds"}`, 100+i))
		}
		conn.Close()
	}))
	defer server.Close()

	conn, err := websock.Dial(context.Background(), "ws"+strings.TrimPrefix(server.URL, "http"), &websock.Config{
		Compression: websock.DefaultCompression,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	for {
		if _, _, err := conn.RecvMessage(nil); err != nil {
			break
		}
	}
	agreed, stats := conn.Compression(), conn.Stats()
	fmt.Println("windows of", 1<<agreed.SendWindowBits, "and", 1<<agreed.RecvWindowBits, "bytes")
	fmt.Println("less than half:", stats.AfterInflate > 2*stats.BeforeInflate)
	// Output:
	// windows of 2048 and 2048 bytes
	// less than half: true
}
