package h2_test

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestEndStreamComesWithTheLastData(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(st, other *h2.Stream)
		want []string
	}{
		{"together", func(st, other *h2.Stream) { st.Writev([]byte("abc")); st.CloseWrite() }, []string{`DATA 1 "abc" END_STREAM`}},
		{"two pieces", func(st, other *h2.Stream) { st.Writev([]byte("abc")); st.Writev([]byte("d")); st.CloseWrite() }, []string{`DATA 1 "abc"`, `DATA 1 "d" END_STREAM`}},
		{"another stream between", func(st, other *h2.Stream) {
			st.Writev([]byte("abc"))
			other.Writev([]byte("x"))
			st.CloseWrite()
		}, []string{`DATA 1 "abc"`, `DATA 3 "x"`, `DATA 1 "" END_STREAM`}},
		{"nothing before", func(st, other *h2.Stream) { st.CloseWrite() }, []string{`DATA 1 "" END_STREAM`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPeer(t, newWire(), server, h2.Config{})
			st, other := p.open(), p.open()
			p.frames()
			p.session.Cork()
			c.send(st, other)
			p.session.Flush()
			p.gets(c.want...)
		})
	}
}

func TestOnEndCanBeTakenBack(t *testing.T) {
	client, server, accepted := carrier{factory: std.Transport()}.sessions(t, h2.Config{}, h2.Config{})
	a, b := open(t, client, accepted)
	b.OnEnd(func(error) { t.Error("the first function was called") })
	b.OnEnd(nil)
	a.Reset(http2.ErrCodeCancel)
	waitFor(t, func() bool { return server.Streams() == 0 })
	b.OnEnd(nil) // after the end
	ended := make(chan error, 1)
	b.OnEnd(func(err error) { ended <- err })
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}

func TestDoneComesAfterTheEnd(t *testing.T) {
	eachCarrier(t, func(t *testing.T, c carrier) {
		client, server, _ := c.sessions(t, h2.Config{}, h2.Config{})
		select {
		case <-client.Done():
			t.Error("done before the end")
		default:
		}
		server.Shutdown()
		for _, s := range []*h2.Session{client, server} {
			select {
			case <-s.Done():
			case <-time.After(patience):
				t.Fatal("the session is not done")
			}
			if s.Err() == nil {
				t.Error("the session has not ended")
			}
		}
	})
}
