package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
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

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(g.Shutdown(ctx))
	// Output:
	// 7 is up
	// <nil>
}

func ExampleGroup_Broadcast() {
	server := feed()
	defer server.Close()
	g, err := fanout.Start(fanout.Options{
		Targets: fanout.URLs("ws" + strings.TrimPrefix(server.URL, "http")),
		Size:    10,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer g.Shutdown(ctx)
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v\n", g.Broadcast(websock.OpText, []byte("news")))
	// Output: {Sent:10 Kept:0 Down:0 Refused:0}
}

func ExampleGroup_Publish() {
	server := feed()
	defer server.Close()
	g, err := fanout.Start(fanout.Options{
		Targets: fanout.URLs("ws" + strings.TrimPrefix(server.URL, "http")),
		Size:    10,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer g.Shutdown(ctx)
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		fmt.Println(err)
		return
	}
	for s := range g.Slots() {
		s.Subscribe("all")
		if s.Number() < 3 {
			s.Subscribe("first three")
		}
	}
	fmt.Printf("%+v\n", g.Publish("first three", websock.OpText, []byte("news")))
	fmt.Println(g.Slot(0).Topics(), g.Subscribers("all"))
	// Output:
	// {Sent:3 Kept:0 Down:0 Refused:0}
	// [all first three] 10
}

func ExampleGroup_BroadcastTo() {
	server := feed()
	defer server.Close()
	g, err := fanout.Start(fanout.Options{
		Targets: fanout.URLs("ws" + strings.TrimPrefix(server.URL, "http")),
		Size:    10,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer g.Shutdown(ctx)
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		fmt.Println(err)
		return
	}
	even := func(s *fanout.Slot) bool { return s.Number()%2 == 0 }
	fmt.Printf("%+v\n", g.BroadcastTo(websock.OpText, []byte("news"), even))
	// Output: {Sent:5 Kept:0 Down:0 Refused:0}
}

// Slots come and go with what they are for.
func ExampleGroup_Add() {
	server := feed()
	defer server.Close()
	targets := fanout.URLs("ws" + strings.TrimPrefix(server.URL, "http"))

	answers := make(chan string)
	g, err := fanout.Start(fanout.Options{
		Size: -1, // none to begin with
		OnConnect: func(_ context.Context, s *fanout.Slot, c *websock.Conn) error {
			return c.SendText([]byte(s.Value().(string))) // each time that the slot is connected
		},
		OnMessage: func(s *fanout.Slot, _ websock.Opcode, msg []byte) { answers <- s.Key() + ": " + string(msg) },
		OnDown:    func(s *fanout.Slot, err error, _ time.Duration) { fmt.Println(s.Key()+":", fanout.ReasonOf(err)) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := g.Add("gold", fanout.SlotOptions{Targets: targets, Value: "prices of gold"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-answers)
	s.Remove()
	<-s.Context().Done() // nothing is called for it any more
	fmt.Println(s.SendText([]byte("too late")))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(g.Shutdown(ctx))
	// Output:
	// gold: subscribed to prices of gold
	// gold: ended
	// fanout: the slot was removed
	// <nil>
}

// With a Mux, a hundred WebSockets share a connection.
func Example_mux() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, &websock.AcceptOptions{Handler: websock.Messages(nil, nil)})
	}))
	if err := websock.ConfigureServer(server.Config); err != nil {
		fmt.Println(err)
		return
	}
	server.TLS = server.Config.TLSConfig
	server.StartTLS()
	defer server.Close()

	mux := &websock.Mux{StreamsPerConn: 100}
	defer mux.Close() // after Shutdown of the Group
	g, err := fanout.Start(fanout.Options{
		Targets: []fanout.Target{{
			URL: "wss" + strings.TrimPrefix(server.URL, "https"),
			Config: websock.Config{
				Mux:       mux,
				Transport: epoll.Transport(),
				TLS:       server.Client().Transport.(*http.Transport).TLSClientConfig,
			},
		}},
		Size: 300,
		Pace: fanout.Pace{Rate: 5000},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer g.Shutdown(ctx)
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		fmt.Println(err)
		return
	}
	s := g.Stats()
	fmt.Println(s.Up, "slots are up on", s.Mux.Conns, "connections")
	// Output: 300 slots are up on 3 connections
}

// The addresses come from a service discovery, say. The slots connect to them in turn.
func ExampleRotation() {
	servers := map[string]int{}
	var mu sync.Mutex
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		servers[r.Host]++
		mu.Unlock()
		websock.Accept(w, r, &websock.AcceptOptions{Handler: websock.Messages(nil, nil)})
	})}
	defer server.Close()
	go server.Serve(l)
	_, port, _ := net.SplitHostPort(l.Addr().String())

	lookups := 0
	g, err := fanout.Start(fanout.Options{
		Targets: fanout.URLs("ws://feed.example:" + port),
		Size:    30,
		Pace:    fanout.Pace{Rate: 5000},
		Rotation: &fanout.Rotation{
			TTL: time.Minute,
			Lookup: func(_ context.Context, host string) ([]netip.Addr, error) { // or leave it out, for DNS
				lookups++
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer g.Shutdown(ctx)
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		fmt.Println(err)
		return
	}
	mu.Lock()
	defer mu.Unlock()
	fmt.Println(servers["feed.example:"+port], "handshakes after", lookups, "lookup")
	// Output: 30 handshakes after 1 lookup
}

// One of two servers is down: all slots go to the other one.
func ExampleFailover() {
	server := feed()
	defer server.Close()

	g, err := fanout.Start(fanout.Options{
		Targets: []fanout.Target{
			{URL: "ws://127.0.0.1:1", Weight: 3}, // where nobody listens; three quarters of the slots prefer it
			{URL: "ws" + strings.TrimPrefix(server.URL, "http"), Weight: 1},
		},
		Size:     100,
		Pace:     fanout.Pace{Rate: 5000},
		Backoff:  fanout.Backoff{Base: 10 * time.Millisecond},
		Failover: &fanout.Failover{Avoid: time.Minute},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer g.Shutdown(ctx)
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range g.Targets() {
		fmt.Println("target", t.Index, "healthy:", t.Healthy, "up:", t.Up)
	}
	// Output:
	// target 0 healthy: false up: 0
	// target 1 healthy: true up: 100
}

// A server that bans clients for a while answers with status 403, too.
func ExamplePermanent() {
	permanent := func(err error) bool {
		var refused *websock.HandshakeError
		if errors.As(err, &refused) && refused.Header.Get("Retry-After") != "" {
			return false
		}
		return fanout.Permanent(err)
	}
	banned := http.Header{"Retry-After": {"60"}}
	fmt.Println(permanent(&websock.HandshakeError{Status: http.StatusForbidden}))
	fmt.Println(permanent(&websock.HandshakeError{Status: http.StatusForbidden, Header: banned}))
	// Output:
	// true
	// false
}
