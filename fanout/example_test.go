package fanout_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// feed is a server that confirms every subscription.
func feed() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, &websock.AcceptOptions{
			Transport: epoll.Transport(),
			Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				c.SendFrame(op, true, append([]byte("subscribed to "), msg...))
			}, nil),
		})
	}))
}

func Example() {
	server := feed()
	defer server.Close()

	var answers sync.WaitGroup
	answers.Add(100)
	g, err := fanout.Start(fanout.Options{
		Targets: []fanout.Target{{
			URL:    "ws" + strings.TrimPrefix(server.URL, "http"),
			Config: websock.Config{Transport: epoll.Transport()},
		}},
		Size: 100,
		Pace: fanout.Pace{Rate: 5000},
		OnConnect: func(_ context.Context, s *fanout.Slot, c *websock.Conn) error {
			return c.SendText([]byte("feed " + s.Key())) // each time that the slot is connected
		},
		OnMessage: func(_ *fanout.Slot, _ websock.Opcode, msg []byte) { answers.Done() },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answers.Wait()
	fmt.Println(g.Slot(7).Key(), "is", g.Slot(7).State())

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(g.Shutdown(ctx))
	// Output:
	// 7 is up
	// <nil>
}
