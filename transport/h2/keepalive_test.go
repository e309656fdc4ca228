package h2_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/transport/h2"
)

func TestKeepAliveSendsPings(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	p.session.KeepAlive(20*time.Millisecond, 0, nil)
	p.session.KeepAlive(time.Hour, 0, nil) // the shorter time counts
	var got []string
	waitFor(t, func() bool { got = append(got, p.frames()...); return len(got) >= 3 })
	if slices.ContainsFunc(got, func(f string) bool { return f != `PING "\x00\x00\x00\x00\x00\x00\x00\x00"` }) {
		t.Errorf("the peer got %q", got)
	}
	if p.session.Err() != nil {
		t.Errorf("it has ended: %v", p.session.Err())
	}
}

func TestKeepAliveEndsASessionWhosePeerIsSilent(t *testing.T) {
	for _, cause := range []error{nil, os.ErrProcessDone} {
		p := newPeer(t, newWire(), client, h2.Config{})
		st := p.open()
		p.session.KeepAlive(0, time.Hour, cause)
		p.session.KeepAlive(0, 30*time.Millisecond, errors.New("the first cause counts"))
		want := cause
		if want == nil {
			want = h2.ErrPing
		}
		if _, err := st.View(); !errors.Is(err, want) {
			t.Errorf("the stream got %v", err)
		}
		waitFor(t, p.wire.isDue)
		p.wire.run()
		if err := p.session.Err(); !errors.Is(err, want) || !p.wire.closed {
			t.Errorf("the end is %v, and the carrier closed: %v", err, p.wire.closed)
		}
	}
}

// Whatever arrives is a sign of life.
func TestKeepAliveSparesASessionThatReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 10 * time.Second
		p := newPeer(t, newWire(), client, h2.Config{})
		p.session.KeepAlive(timeout, timeout, nil)
		for range 80 {
			p.send(windowUpdate(0, 1))
			time.Sleep(timeout / 40)
			synctest.Wait()
		}
		if err := p.session.Err(); err != nil {
			t.Error(err)
		}
		p.gets()
	})
}

func TestKeepAliveAfterTheEndDoesNothing(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	p.session.Close(0, os.ErrProcessDone)
	p.session.KeepAlive(time.Millisecond, time.Millisecond, nil)
	if err := p.session.Err(); !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}
