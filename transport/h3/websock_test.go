package h3_test

import (
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestEcho(t *testing.T) {
	s := newServer(t, echo)
	c, err := s.dial(t, websock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.SendText([]byte("hello"))
		_, msg, err := c.RecvMessage(nil)
		if string(msg) != "hello" || err != nil {
			t.Fatalf("%q %v", msg, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Streams come in any order: the server's settings may be on a later one than a stream that has not begun.
func TestAStreamThatDoesNotBeginStopsNoOther(t *testing.T) {
	s := newRawServer(t, nil, func(c *rawConn) {
		c.openUni()
		c.settle(extendedConnect)
		if st := c.accept(); st != nil {
			st.Write(hello)
		}
	})
	c := s.mustDial(t, websock.Config{})
	if _, msg, err := c.RecvMessage(nil); string(msg) != "hello" || err != nil {
		t.Errorf("%q, %v", msg, err)
	}
	c.Abort(nil)
}
