package h2_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// A quitter is a recorder that ends its goroutine after the first bytes that it consumes, and when it
// gets the end.
type quitter struct {
	recorder
	most  int  // bytes that it consumes before
	again bool // it is pushed again
}

func (q *quitter) Readable() error {
	view, err := q.st.View()
	if err == transport.ErrWouldBlock {
		return nil
	}
	if err == nil {
		view = view[:min(q.most, len(view))]
		q.note(string(view))
		q.st.Consume(len(view))
		q.st.Writev(view)
	} else {
		q.note(err.Error())
	}
	runtime.Goexit()
	return nil
}

func (q *quitter) End(err error) { q.note(err.Error()); runtime.Goexit() }

func (q *quitter) Finish() {
	q.ends++
	if q.again && q.events[len(q.events)-1] != "EOF" && q.st.Push(q) == nil {
		return
	}
	q.st.Close()
}

func TestAReceiverThatEndsTheGoroutineHarmsNoOtherStream(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprint("pushed again: ", again), func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			first, second, third := p.open(), p.open(), p.open()
			q := &quitter{recorder: recorder{st: first}, most: 3, again: again}
			first.Push(q)
			r, e := p.record(second), newEcho(third)
			third.Push(e)
			p.frames()
			p.send(data(3, "one"), data(1, "abcdef", endStream), data(3, "two"), ping("01234567"), data(5, "echo", endStream))
			r.got(t, `"one"`, `"two"`)
			if err := <-e.done; err != io.EOF {
				t.Errorf("the echo ended with %v", err)
			}
			got := byStream(p.frames(), 1)
			if again {
				if want := []string{"abc", "def", "EOF"}; !slices.Equal(q.events, want) || q.ends != 3 {
					t.Errorf("it got %q, want %q, and %d calls of Finish", q.events, want, q.ends)
				}
				if want := []string{`PING ACK "01234567"`, `DATA 1 "abc"`, `DATA 1 "def" END_STREAM`, `DATA 5 "echo" END_STREAM`}; !slices.Equal(got, want) {
					t.Errorf("the peer got %q,\nwant %q", got, want)
				}
				return
			}
			if !slices.Equal(q.events, []string{"abc"}) || q.ends != 1 {
				t.Errorf("it got %q, and %d calls of Finish", q.events, q.ends)
			}
			if len(got) == 0 || p.session.Streams() != 1 {
				t.Errorf("%d streams; the peer got %q", p.session.Streams(), got)
			}
		})
	}
}

// The end of a frame is handled, also if it was the last in the view.
func TestEndStreamArrivesAfterAReceiverHasEndedTheGoroutine(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	q := &quitter{recorder: recorder{st: st}, most: 100, again: true}
	st.Push(q)
	p.send(data(1, "abc", endStream))
	if want := []string{"abc", "EOF"}; !slices.Equal(q.events, want) {
		t.Errorf("it got %q, want %q", q.events, want)
	}
}

func TestARequestThatEndsTheGoroutineHarmsNoOther(t *testing.T) {
	var opened []uint32
	p := newSilentPeer(t, newWire(), server, h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		opened = append(opened, st.ID())
		runtime.Goexit()
	}})
	p.send(settings(), settingsAck(), request(1, false), request(3, true), ping("01234567"))
	if !slices.Equal(opened, []uint32{1, 3}) || p.session.Err() != nil {
		t.Errorf("requests %v, %v", opened, p.session.Err())
	}
	if got := p.frames(); got[len(got)-1] != `PING ACK "01234567"` {
		t.Errorf("the peer got %q", got)
	}
}

// The Receivers of a lost Session end their goroutines, one after another, and each is called.
func TestReceiversThatEndTheGoroutineAfterTheCarrierHasEnded(t *testing.T) {
	for _, loss := range []struct {
		name string
		lose func(p *peer)
	}{
		{"the end of the carrier", func(p *peer) { p.wire.viewErr = io.EOF; p.wire.turn() }},
		{"Session.Close", func(p *peer) { p.session.Close(http2.ErrCodeNo, io.ErrUnexpectedEOF); p.wire.run() }},
	} {
		t.Run(loss.name, func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			const n = 20
			ended := make(chan error, 2*n)
			for i := range n {
				st := p.open()
				r := &endingReceiver{st: st, quits: i%2 == 0, ended: ended}
				st.Push(r)
				if i%3 == 0 {
					st.Pause()
					defer func() {
						st.Resume()
						<-ended
					}()
				}
			}
			loss.lose(p)
			for range n - (n+2)/3 {
				var lost *h2.SessionError
				if err := <-ended; !errors.As(err, &lost) || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("a stream ended with %v", err)
				}
			}
		})
	}
}

// An endingReceiver tells how its stream ended, and ends the goroutine if it quits.
type endingReceiver struct {
	st    *h2.Stream
	quits bool
	err   error
	ended chan error
}

func (r *endingReceiver) Readable() error {
	_, err := r.st.View()
	if err == transport.ErrWouldBlock {
		return nil
	}
	r.End(err)
	return err
}

func (r *endingReceiver) End(err error) {
	r.err = err
	if r.quits {
		runtime.Goexit()
	}
}

func (r *endingReceiver) Finish() {
	r.st.Close()
	r.ended <- r.err
}
