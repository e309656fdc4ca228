package h2_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

const soon = 10 * time.Millisecond

// deadlineTick is how late a deadline may be noticed.
const deadlineTick = 2 * timing.Tick

// inBubble returns test in a bubble, whose clock stands still while anything runs.
func inBubble(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

func TestTheReadDeadline(t *testing.T) {
	t.Run("of a goroutine that waits", func(t *testing.T) {
		p := newPeer(t, newWire(), client, h2.Config{})
		st := p.open()
		st.SetReadDeadline(time.Now().Add(soon))
		for range 2 {
			if _, err := st.View(); err != os.ErrDeadlineExceeded {
				t.Errorf("View: %v", err)
			}
			if _, err := st.Read(make([]byte, 1)); err != os.ErrDeadlineExceeded {
				t.Errorf("Read: %v", err)
			}
		}
		p.send(data(1, "abc")) // what arrives is received in spite of it
		if view, err := st.View(); string(view) != "abc" || err != nil {
			t.Errorf("View: %q, %v", view, err)
		}
		st.Consume(3)
		st.SetReadDeadline(noTime)
		p.send(data(1, "d"))
		if view, err := st.View(); string(view) != "d" || err != nil {
			t.Errorf("View: %q, %v", view, err)
		}
	})
	t.Run("set while a goroutine waits", func(t *testing.T) {
		p := newPeer(t, newWire(), client, h2.Config{})
		st := p.open()
		st.SetReadDeadline(time.Now().Add(time.Hour))
		result := make(chan error)
		go func() { _, err := st.Read(make([]byte, 1)); result <- err }()
		st.SetReadDeadline(time.Now().Add(soon))
		if err := <-result; err != os.ErrDeadlineExceeded {
			t.Errorf("Read: %v", err)
		}
	})
	for _, test := range []struct {
		name string
		set  func(p *peer, st *h2.Stream)
	}{
		{"of a Receiver", func(p *peer, st *h2.Stream) { st.SetReadDeadline(time.Now().Add(soon)) }},
		{"of a Receiver that is paused", func(p *peer, st *h2.Stream) {
			st.Pause()
			p.send(data(1, "abc"))
			st.SetReadDeadline(time.Now().Add(soon))
		}},
		{"that is moved to an earlier time", func(p *peer, st *h2.Stream) {
			st.SetReadDeadline(time.Now().Add(time.Hour))
			st.SetReadDeadline(time.Now().Add(2 * time.Hour))
			st.SetReadDeadline(time.Now().Add(soon))
		}},
		{"in the past", func(p *peer, st *h2.Stream) { st.SetReadDeadline(time.Now().Add(-time.Second)) }},
	} {
		t.Run(test.name, inBubble(func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			st := p.open()
			r := p.record(st)
			test.set(p, st)
			time.Sleep(soon + deadlineTick)
			synctest.Wait()
			p.wire.run()
			r.got(t, "End: "+os.ErrDeadlineExceeded.Error())
			if r.ends != 1 {
				t.Errorf("%d calls of Finish", r.ends)
			}
		}))
	}
	t.Run("that is moved to a later time", inBubble(func(t *testing.T) {
		p := newPeer(t, newWire(), client, h2.Config{})
		st := p.open()
		r := p.record(st)
		st.SetReadDeadline(time.Now().Add(soon))
		st.SetReadDeadline(time.Now().Add(time.Hour))
		time.Sleep(2 * soon)
		synctest.Wait()
		p.wire.run()
		r.got(t)
		p.send(data(1, "abc"))
		r.got(t, `"abc"`)
		time.Sleep(time.Hour)
		synctest.Wait()
		p.wire.run()
		r.got(t, `"abc"`, "End: "+os.ErrDeadlineExceeded.Error())
	}))
	t.Run("that was set before Push", inBubble(func(t *testing.T) {
		p := newPeer(t, newWire(), client, h2.Config{})
		st := p.open()
		st.SetReadDeadline(time.Now().Add(soon))
		r := p.record(st)
		time.Sleep(soon + deadlineTick)
		synctest.Wait()
		p.wire.run()
		r.got(t, "End: "+os.ErrDeadlineExceeded.Error())
	}))
}

// A write never waits, so its deadline is that of what is queued, and of Drain.
func TestTheWriteDeadline(t *testing.T) {
	queueing := func(t *testing.T) (*peer, *h2.Stream) {
		p := newPeer(t, newWire(), client, h2.Config{})
		st := p.open()
		p.send(settings(4, 0))
		return p, st
	}
	t.Run("of queued bytes, pulled", func(t *testing.T) {
		p, st := queueing(t)
		st.Writev([]byte("abc")) // before the deadline, which may pass at once
		st.SetWriteDeadline(time.Now().Add(soon))
		var failed *transport.SendError
		if _, err := st.View(); !errors.As(err, &failed) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("View: %v", err)
		}
		p.send(data(1, "still"))
		if view, err := st.View(); string(view) != "still" || err != nil {
			t.Errorf("View: %q, %v", view, err)
		}
		if err := st.Writev([]byte("x")); err != os.ErrDeadlineExceeded || st.Queued() != 0 {
			t.Errorf("Writev: %v, and %d bytes are queued", err, st.Queued())
		}
		p.frames()
		p.send(windowUpdate(1, 100))
		p.gets()
		st.Close()
		p.gets("RST_STREAM 1 CANCEL")
	})
	t.Run("of queued bytes, pushed", func(t *testing.T) {
		p, st := queueing(t)
		r := p.record(st)
		st.Writev([]byte("abc"))
		st.SetWriteDeadline(time.Now().Add(soon))
		waitFor(t, p.wire.isDue)
		p.wire.run()
		r.got(t, (&transport.SendError{Err: os.ErrDeadlineExceeded}).Error())
		p.send(data(1, "still"))
		r.got(t, (&transport.SendError{Err: os.ErrDeadlineExceeded}).Error(), `"still"`)
	})
	t.Run("of Drain", func(t *testing.T) {
		_, st := queueing(t)
		st.Writev([]byte("abc"))
		if err := st.Drain(t.Context(), 3); err != nil {
			t.Errorf("Drain to what is queued: %v", err)
		}
		result := make(chan error, 2)
		for range 2 {
			go func() { result <- st.Drain(context.Background(), 0) }()
		}
		st.SetWriteDeadline(time.Now().Add(time.Hour))
		st.SetWriteDeadline(time.Now().Add(soon))
		for range 2 {
			if err := <-result; err != os.ErrDeadlineExceeded {
				t.Errorf("Drain: %v", err)
			}
		}
	})
	t.Run("in the past", func(t *testing.T) {
		p, st := queueing(t)
		p.send(windowUpdate(1, 100))
		p.frames()
		st.SetWriteDeadline(time.Now().Add(-time.Second))
		if err := st.Writev([]byte("x")); err != os.ErrDeadlineExceeded {
			t.Errorf("Writev: %v", err)
		}
		p.gets()
	})
	t.Run("that is taken back", func(t *testing.T) {
		p, st := queueing(t)
		st.Writev([]byte("abc"))
		st.SetWriteDeadline(time.Now().Add(time.Hour))
		st.SetWriteDeadline(noTime)
		p.frames()
		p.send(windowUpdate(1, 100))
		p.gets(`DATA 1 "abc"`)
	})
}

func TestDrain(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	p.send(settings(4, 0))
	st.Writev([]byte("abcdef"))
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 2)
	go func() { result <- st.Drain(ctx, 0) }()
	cancel(nil)
	if err := <-result; err != context.Canceled {
		t.Errorf("%v after the context", err)
	}
	go func() { result <- st.Drain(context.Background(), 2) }()
	p.send(windowUpdate(1, 3))
	if len(result) > 0 || st.Queued() != 3 {
		t.Errorf("%d bytes are queued", st.Queued())
	}
	p.send(windowUpdate(1, 1))
	if err := <-result; err != nil || st.Queued() != 2 {
		t.Errorf("%v, and %d bytes are queued", err, st.Queued())
	}
	go func() { result <- st.Drain(context.Background(), 0) }()
	p.send(windowUpdate(1, 2))
	if err := <-result; err != nil {
		t.Error(err)
	}
	st.Writev([]byte("g"))
	for _, end := range []func(){func() { p.send(rst(1, 8)) }, func() { st.Close() }} {
		end()
		if err := st.Drain(t.Context(), 0); err == nil {
			t.Error("no error after the end")
		}
	}
}

// A Receiver that doesn't return holds up only the streams that have one.
func TestLingerKeepsItsTimeWhileAReceiverHangs(t *testing.T) {
	client, _, accepted := carrier{factory: carriers["std"]}.sessions(t, h2.Config{}, h2.Config{})
	a, b := open(t, client, accepted)
	other, _ := open(t, client, accepted)
	goOn, hangs := make(chan bool), make(chan bool)
	defer close(goOn)
	a.Push(&pickyReceiver{st: a, take: func(view []byte) int { close(hangs); <-goOn; return len(view) }})
	b.Writev([]byte("x"))
	<-hangs
	lingered := make(chan error, 1)
	go func() { lingered <- other.Linger(soon) }()
	select {
	case err := <-lingered:
		if err != os.ErrDeadlineExceeded {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("Linger still waits")
	}
}
