package websock

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestErrorsSayWhatHappened(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{ErrTimeout, "websock: timeout"},
		{ErrClosed, "websock: connection closed"},
		{&LimitError{Limit: "MessageSize", Max: 5, Code: CloseMessageTooBig}, "websock: limit MessageSize of 5 exceeded"},
		{&CloseError{Code: CloseGoingAway, Reason: "restart"}, "websock: closed by the peer: 1001 (going away): restart"},
		{&CloseError{Code: CloseNormal, Local: true, Err: ErrClosed}, "websock: closed by us: 1000 (normal closure)"},
		{&CloseError{Code: CloseAbnormal, Err: io.ErrUnexpectedEOF}, "websock: connection lost: 1006 (abnormal closure): unexpected EOF"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	var timeout interface { // what a net.Error was
		Timeout() bool
		Temporary() bool
	}
	if !errors.As(ErrTimeout, &timeout) || !timeout.Timeout() || !timeout.Temporary() {
		t.Error("ErrTimeout is none to those who ask a net.Error")
	}
}

func TestConnTellsWhatTheHandshakeAgreed(t *testing.T) {
	c := NewConn(&script{}, Server, Options{Subprotocol: "chat", RawHeader: []byte("X-A: 1\r\nx-a: 2\r\n")})
	if c.Role() != Server || c.Subprotocol() != "chat" {
		t.Errorf("%v, %q", c.Role(), c.Subprotocol())
	}
	if got := strings.Join(c.HandshakeHeader()["X-A"], ","); got != "1,2" {
		t.Errorf("%q", got)
	}
	for _, raw := range []string{"", "no header line\r\n"} {
		c := NewConn(&script{}, Client, Options{RawHeader: []byte(raw)})
		if h := c.HandshakeHeader(); h == nil || len(h) != 0 {
			t.Errorf("%q becomes %v", raw, h)
		}
	}
}
