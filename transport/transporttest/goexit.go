package transporttest

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// A Receiver that ends goroutines of its Pusher is pushed again in Finish. It loses no byte: neither
// what it has left of the view nor what arrives meanwhile.
func (s Suite) testAReceiverIsPushedAgainAfterGoexit(t *testing.T) {
	const size = 300 << 10
	s.eachNetwork(t, func(t *testing.T, network string) {
		neighbours := s.neighbours(t)
		client, server := s.sockets(t, network)
		last := 0
		r := &byteReceiver{most: 100, exits: func(n int) bool {
			exits := n-last >= 5000 // in the middle of a view, most of the time
			if exits {
				last = n
			}
			return exits
		}}
		s.push(t, client, r)
		go func() {
			for n := 0; n < size; n += 1 << 10 {
				server.Write(numbered(n, 1<<10))
			}
		}()
		r.receives(t, size)
		if !r.becomes(func() bool { return r.left >= size/5000-1 }) {
			t.Error("it has not ended a goroutine for every 5000 bytes")
		}
		if !r.resume() {
			t.Error("Resume does not wake the Receiver that was pushed again")
		}
		for _, n := range neighbours {
			n.echo(t)
		}
		r.conn.Close()
		if err := wait(t, "End", r.finished); err != net.ErrClosed {
			t.Errorf("the end after Close is %v", err)
		}
	})
}

// The Receiver calls runtime.Goexit for every byte, before and after it has waited.
func (s Suite) testEachCallMayEndItsGoroutine(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		r := &byteReceiver{most: 1, exits: func(int) bool { return true }}
		s.push(t, client, r)
		sent := 0
		for n := range 50 {
			size := 1 + n%3
			server.Write(numbered(sent, size))
			sent += size
			r.receives(t, sent)
		}
	})
}

// A passed deadline, or Close, may find a Receiver that calls runtime.Goexit.
func (s Suite) testGoexitAtTheEndOfAReceiver(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		var passed atomic.Int32
		r := &byteReceiver{}
		r.exitsEnd = func(err error) bool {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return false
			}
			passed.Add(1)
			r.conn.SetReadDeadline(time.Time{})
			return true
		}
		s.push(t, client, r)
		for n := range 3 {
			r.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if !r.becomes(func() bool { return int(passed.Load()) == n+1 }) {
				t.Fatal("the deadline is not reported")
			}
			server.Write(numbered(n, 1))
			r.receives(t, n+1)
		}
		var ends atomic.Int32
		r.mu.Lock()
		r.exitsEnd = func(error) bool { return ends.Add(1) == 1 }
		r.mu.Unlock()
		r.conn.Close()
		if err := wait(t, "the end after Close", r.finished); err != net.ErrClosed {
			t.Errorf("it is %v", err)
		}
	})
}

func (s Suite) testAReceiverPushedAgainFreesTheDescriptor(t *testing.T) {
	ends := map[string]func(r *byteReceiver, peer net.Conn){
		"Close":          func(r *byteReceiver, _ net.Conn) { r.conn.Close() },
		"the peer's end": func(_ *byteReceiver, peer net.Conn) { peer.Close() },
		"the deadline":   func(r *byteReceiver, _ net.Conn) { r.conn.SetReadDeadline(time.Now()) },
	}
	run := func(end func(r *byteReceiver, peer net.Conn)) {
		client, peer := s.sockets(t, "tcp")
		defer socketOf(peer).Close()
		r := &byteReceiver{exits: func(int) bool { return true }}
		s.push(t, client, r)
		for n := range 3 {
			peer.Write(numbered(n, 1))
			r.receives(t, n+1)
		}
		end(r, peer)
		wait(t, "the end", r.finished)
	}
	for name, end := range ends {
		run(end) // what the transport opens once
		before := descriptors(t)
		for range 5 {
			run(end)
		}
		for start := time.Now(); descriptors(t) > before; time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Errorf("%s: %d descriptors, %d before", name, descriptors(t), before)
				break
			}
		}
	}
}
