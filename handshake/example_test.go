package handshake_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/seed004e8d11/websock/handshake"
)

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
	// Unordered output:
	// server: chat
	// client: chat
}
