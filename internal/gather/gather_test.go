package gather

import (
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

// session returns a client's Session, and the other end of its connection.
func session(t *testing.T) (*h2.Session, net.Conn) {
	t.Helper()
	conn, peer := netpair.Sockets(t, "tcp")
	s, err := h2.NewClient(std.New(conn, nil), h2.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(0, nil) })
	return s, peer
}

func TestTheItemsOfASessionFollowEachOther(t *testing.T) {
	a, _ := session(t)
	b, _ := session(t)
	for _, test := range []struct {
		sessions []*h2.Session
		want     []int
	}{
		{nil, nil},
		{[]*h2.Session{nil}, []int{0}},
		{[]*h2.Session{nil, nil, nil}, []int{0, 1, 2}},
		{[]*h2.Session{a}, []int{0}},
		{[]*h2.Session{a, b, a, b, a}, []int{0, 2, 4, 1, 3}},
		{[]*h2.Session{b, nil, b, a, nil, b, a}, []int{0, 2, 5, 1, 3, 6, 4}},
	} {
		items := make([]int, len(test.sessions))
		for i := range items {
			items[i] = i
		}
		var got []int
		Each(items, func(i int) *h2.Session { return test.sessions[i] }, func(i int) { got = append(got, i) })
		if !slices.Equal(got, test.want) {
			t.Errorf("%v, want %v", got, test.want)
		}
	}
}

// All items are sent once each, those of a session in order, however many there are.
func TestEachSendsAllItems(t *testing.T) {
	sessions := make([]*h2.Session, 2*keptSessions)
	for i := range sessions[1:] {
		sessions[i+1] = new(h2.Session)
	}
	for range 3 {
		items := make([]int, 20*len(sessions))
		for i := range items {
			items[i] = rand.N(len(sessions))
		}
		sent := make([]int, len(sessions))
		runs, last := 0, -1
		Each(items, func(i int) *h2.Session { return sessions[i] }, func(i int) {
			sent[i]++
			if i != last || i == 0 {
				runs++
			}
			last = i
		})
		for i, n := range sent {
			if want := count(items, i); n != want {
				t.Errorf("%d of %d items", n, want)
			}
		}
		if most := len(sessions) - 1 + sent[0]; runs > most {
			t.Errorf("%d runs, want %d at most", runs, most)
		}
	}
}

func count(items []int, want int) (n int) {
	for _, i := range items {
		if i == want {
			n++
		}
	}
	return n
}

// When a call of send panics or ends its goroutine, nothing stays corked.
func TestEachUncorksWhateverSendDoes(t *testing.T) {
	s, peer := session(t)
	peer.SetReadDeadline(time.Now().Add(20 * time.Second))
	io.ReadFull(peer, make([]byte, len(http2.ClientPreface)))
	frames := http2.NewFramer(nil, peer)
	for name, leave := range map[string]func(){"panic": func() { panic("oops") }, "Goexit": runtime.Goexit} {
		done := make(chan bool)
		go func() {
			defer close(done)
			defer s.Open([]hpack.HeaderField{{Name: ":method", Value: "GET"}}, true) // is sent at once
			defer func() { recover() }()
			Each([]int{1, 2}, func(int) *h2.Session { return s }, func(int) { leave() })
		}()
		<-done
		for {
			f, err := frames.ReadFrame()
			if err != nil {
				t.Fatal(name, ": ", err)
			}
			if f.Header().Type == http2.FrameHeaders {
				break
			}
		}
	}
}
