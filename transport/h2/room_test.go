package h2_test

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/transport/h2"
)

func TestAClientOpensAsManyStreamsAsBothSidesAllow(t *testing.T) {
	for _, test := range []struct{ own, peers, room int }{
		{0, 3, 3},
		{2, 3, 2},
		{5, 3, 3},
		{300, 300, 300},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			c := carrier{factory: carriers["std"]}
			client, _, accepted := c.sessions(t, h2.Config{MaxStreams: test.own}, h2.Config{MaxStreams: test.peers})
			if _, err := client.Settings(t.Context()); err != nil {
				t.Fatal(err)
			}
			var last *h2.Stream
			for i := range test.room {
				if room := client.Room(); room != test.room-i {
					t.Errorf("room for %d with %d open", room, i)
				}
				last, _ = open(t, client, accepted)
			}
			if _, err := client.Open(connect, false); !errors.Is(err, h2.ErrNoRoom) {
				t.Errorf("one more: %v", err)
			}
			last.Close()
			if room := client.Room(); room != 1 {
				t.Errorf("room for %d after one was closed", room)
			}
		})
	}
}

// What is opened while much waits to be written has to wait, too. The user is told when that is over.
func TestChangedTellsOfRoomAfterAWrite(t *testing.T) {
	w := newWire()
	w.waits = true
	told := 0 // the room there was when Changed was called last
	p := newPeer(t, w, client, h2.Config{Changed: func(s *h2.Session) { told = s.Room() }})
	p.frames()
	w.room = 0
	long := append(slices.Clone(connect), hpack.HeaderField{Name: "long", Value: strings.Repeat("x", 20_000), Sensitive: true})
	for p.session.Room() > 0 {
		if _, err := p.session.Open(long, false); err != nil {
			t.Fatal(err)
		}
	}
	if told != 0 {
		t.Errorf("room for %d was told of", told)
	}
	w.drain()
	if room := p.session.Room(); room == 0 || told != room {
		t.Errorf("room for %d, and for %d was told of", room, told)
	}
}

// A client that has used the last number goes away when its streams end.
func TestAClientWithoutNumbersGoesAway(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	p.session.SkipTo(math.MaxInt32)
	st := p.open()
	p.gets("HEADERS 2147483647"+listed(connect), "GOAWAY 0 NO_ERROR")
	if !p.session.GoingAway() || p.session.Room() != 0 {
		t.Errorf("room for %d", p.session.Room())
	}
	p.send(data(st.ID(), "abc"))
	readFull(t, st, 3)
	st.Close()
	p.wire.run()
	if err := p.session.Err(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the session has ended with %v", err)
	}
}
