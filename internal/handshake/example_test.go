package handshake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/handshake"
)

// A client and a server of net/http agree on a subprotocol.
func ExampleClient() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, result, err := handshake.Accept(w, r, &handshake.ServerOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			return // the request has been answered
		}
		defer conn.Close()
		fmt.Println("server:", result.Subprotocol)
	}))
	defer server.Close()

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	request := &handshake.Request{Host: "example.com", Target: "/", Subprotocols: []string{"chat"}}
	if err := request.Check(); err != nil {
		fmt.Println(err)
		return
	}
	result, err := handshake.Client(context.Background(), conn, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("client:", result.Subprotocol)
	io.Copy(io.Discard, conn) // until the server closes
	// Unordered output:
	// server: chat
	// client: chat
}

// A server can perform the handshake over a connection, without net/http.
func ExampleServerConn() {
	client, server := net.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, r, err := handshake.ServerConn(ctx, server, &handshake.ServerOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("asked for", r.RequestURI, "at", r.Host)
	}()
	result, err := handshake.Client(ctx, client, &handshake.Request{
		Host:         "example.com",
		Target:       "/room?n=1",
		Subprotocols: []string{"mqtt", "chat"},
	})
	<-done
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("agreed on", result.Subprotocol)
	// Output:
	// asked for /room?n=1 at example.com
	// agreed on chat
}

// A server declines with a reason, which the client gets.
func ExampleAccept() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := handshake.Accept(w, r, &handshake.ServerOptions{
			CheckRequest: func(r *http.Request) error {
				if r.Header.Get("Authorization") == "" {
					return &handshake.HandshakeError{
						Reason: "who are you?",
						Status: http.StatusUnauthorized,
						Header: http.Header{"WWW-Authenticate": {"Bearer"}},
					}
				}
				return nil
			},
		})
		if err == nil {
			conn.Close()
		}
	}))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	_, err = handshake.Client(context.Background(), conn, &handshake.Request{Host: u.Host})
	var failed *handshake.HandshakeError
	if errors.As(err, &failed) {
		fmt.Println(failed)
		fmt.Println(failed.Header.Get("WWW-Authenticate"))
		fmt.Printf("%s", failed.Body)
	}
	// Output:
	// websock: handshake: the server declines (HTTP status 401): "who are you?"
	// Bearer
	// who are you?
}

// Over HTTP/2 both messages are header lists. A session of package transport/h2 carries them.
func ExampleRequest_CheckResponse() {
	request := &handshake.Request{Host: "example.com", Target: "/chat", Subprotocols: []string{"mqtt", "chat"}}
	fields, err := request.Fields(true)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range fields {
		fmt.Println(f.Name, f.Value)
	}
	head := handshake.ResponseHead{Fields: []hpack.HeaderField{
		{Name: ":status", Value: "200"},
		{Name: "sec-websocket-protocol", Value: "chat"},
	}}
	result, err := request.CheckResponse(context.Background(), head, nil) // without a body, since it agrees
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("agreed on", result.Subprotocol)
	// Output:
	// :method CONNECT
	// :protocol websocket
	// :scheme https
	// :authority example.com
	// :path /chat
	// sec-websocket-version 13
	// sec-websocket-protocol mqtt, chat
	// agreed on chat
}

// A redirect is an error. The caller decides whether to follow it.
func ExampleRedirectTarget() {
	from, err := endpoint.Parse("ws://example.com/chat")
	if err != nil {
		fmt.Println(err)
		return
	}
	header := http.Header{"Authorization": {"Bearer token"}, "User-Agent": {"example"}}
	refusal := &handshake.HandshakeError{Status: 307, Header: http.Header{"Location": {"https://chat.example.com/"}}}
	to, err := handshake.RedirectTarget(&from, refusal)
	if err != nil {
		fmt.Println(err)
		return
	}
	if !from.SameOrigin(to) {
		header = handshake.StripCredentials(header)
	}
	fmt.Println(to.URL(), header)
	// Output: wss://chat.example.com/ map[User-Agent:[example]]
}
