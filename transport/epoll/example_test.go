package epoll_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// Both sides are on event loops: neither has a goroutine for the connection.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, &websock.AcceptOptions{
			Transport: epoll.Transport(),
			Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				c.SendFrame(op, true, msg)
			}, nil),
		})
	}))
	defer server.Close()

	closed := make(chan struct{})
	conn, err := websock.Dial(context.Background(), "ws"+strings.TrimPrefix(server.URL, "http"), &websock.Config{
		Transport: epoll.Transport(),
		Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
			fmt.Printf("%s\n", msg)
			c.Close()
		}, func(c *websock.Conn, err error) { close(closed) }),
	})
	if err != nil {
		log.Fatal(err)
	}
	conn.SendText([]byte("Hello from a loop"))
	<-closed
	// Output: Hello from a loop
}

// A Handler that has to wait pauses, so that it doesn't block the loop, and resumes in another
// goroutine.
func Example_pause() {
	_ = websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
		query := string(msg) // msg is valid only until we return
		c.Pause()
		go func() {
			c.SendText([]byte(strings.ToUpper(query))) // something slow
			c.Resume()
		}()
	}, nil)
}

// A server says at its start whether it needs a system call for each connection.
func ExampleBatching() {
	if err := epoll.Batching(); err != nil {
		log.Print("loops make system calls for each connection: ", err)
	}
}
