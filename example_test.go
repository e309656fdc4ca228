package websock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
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
	cfg := websock.Config{Host: host, Path: "/chat", Timeout: 10 * time.Second}
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

// A page and the WebSockets that it opens share one connection of HTTP/2.
func ExampleConfigureServer() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo" {
			websock.Accept(w, r, &websock.AcceptOptions{
				Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
					c.SendFrame(op, true, msg)
				}, nil),
			})
			return // the WebSocket goes on without a goroutine of its own
		}
		fmt.Fprint(w, "the page, over ", r.Proto)
	}))
	if err := websock.ConfigureServer(server.Config); err != nil {
		fmt.Println(err)
		return
	}
	server.EnableHTTP2 = true // ListenAndServeTLS needs no such setting
	server.StartTLS()
	defer server.Close()

	response, err := server.Client().Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	fmt.Println(string(page), err)

	mux := &websock.Mux{}
	defer mux.Close()
	cfg := &websock.Config{Mux: mux, TLS: server.Client().Transport.(*http.Transport).TLSClientConfig}
	conn, err := websock.Dial(context.Background(), "wss"+strings.TrimPrefix(server.URL, "https")+"/echo", cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	conn.SendText([]byte("Hello"))
	op, msg, err := conn.RecvMessage(nil)
	fmt.Println(op, string(msg), err)
	// Output:
	// the page, over HTTP/2.0 <nil>
	// text Hello <nil>
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

// Two WebSockets share a connection, as would a thousand ten, with a server that speaks HTTP/2 as this
// one does. With another server, each has a connection of its own.
func ExampleMux() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, &websock.AcceptOptions{
			Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				c.SendFrame(op, true, msg)
			}, nil),
		})
	}))
	websock.ConfigureServer(server.Config)
	server.TLS = server.Config.TLSConfig
	server.StartTLS()
	defer server.Close()
	ctx := context.Background()

	mux := &websock.Mux{StreamsPerConn: 100, MaxConns: 10}
	defer mux.Close()
	cfg := &websock.Config{Mux: mux, TLS: server.Client().Transport.(*http.Transport).TLSClientConfig}
	url := "wss" + strings.TrimPrefix(server.URL, "https")

	for _, topic := range []string{"trades", "books"} {
		conn, err := websock.Dial(ctx, url, cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer conn.Close()
		conn.SendText([]byte(topic))
		_, msg, err := conn.RecvMessage(nil)
		fmt.Printf("%s %v\n", msg, err)
	}
	stats := mux.Stats()
	fmt.Println(stats.Streams, "WebSockets over", stats.Conns, "connection")
	// Output:
	// trades <nil>
	// books <nil>
	// 2 WebSockets over 1 connection
}
