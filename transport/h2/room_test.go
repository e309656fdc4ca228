package h2_test

import (
	"errors"
	"fmt"
	"testing"

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
