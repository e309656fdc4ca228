package websock

import (
	"errors"
	"net"
	"testing"
)

func TestAbortEndsAtOnceAndTellsTheCause(t *testing.T) {
	cause := errors.New("enough")
	for _, given := range []error{cause, nil} {
		c, s := newScripted(Client, Limits{}, nil)
		s.chunks, s.err = nil, net.ErrClosed // what a transport that was closed answers
		c.Abort(given)
		want := given
		if given == nil {
			want = ErrClosed
		}
		_, _, received := c.Recv(make([]byte, 1))
		for what, err := range map[string]error{"send": c.SendText(nil), "receive": received} {
			var closed *CloseError
			if !errors.As(err, &closed) || closed.Code != CloseAbnormal || !closed.Local || !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if len(s.out) > 0 {
			t.Errorf("sent %x", s.out)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
