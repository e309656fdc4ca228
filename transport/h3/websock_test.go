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
