package h2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// The window of the connection is refunded on receipt, that of a stream when its bytes are consumed.
func TestWindowsAreRefunded(t *testing.T) {
	const window = 16 << 20
	p := newPeer(t, newWire(), server, h2.Config{Window: window})
	paused, read, pushed := p.open(), p.open(), p.open()
	p.record(paused)
	paused.Pause()
	r := p.record(pushed)
	p.frames()
	frame := strings.Repeat("x", 64<<10)
	for range 8 << 20 / len(frame) {
		p.send(data(paused.ID(), frame))
	}
	p.gets("WINDOW_UPDATE 8388608")
	for i := range 8 << 20 / len(frame) {
		p.send(data(read.ID(), frame))
		if got := p.frames(); len(got) > 0 && (i != 127 || len(got) != 1) {
			t.Errorf("%q after %d frames", got, i)
		}
	}
	for range 8 << 20 / len(frame) {
		io.ReadFull(read, make([]byte, len(frame)))
	}
	p.gets("WINDOW_UPDATE 3 8388608")
	for range 8 << 20 / len(frame) {
		p.send(data(pushed.ID(), frame))
	}
	p.gets("WINDOW_UPDATE 8388608", "WINDOW_UPDATE 5 8388608")
	if len(r.events) != 128 {
		t.Errorf("%d events", len(r.events))
	}
	paused.Resume()
	p.wire.run()
	p.gets("WINDOW_UPDATE 1 8388608")
}

// The window of the connection is what arrives at the rate of a fast network in a round trip.
func TestTheWindowOfTheConnectionFitsTheRoundTrip(t *testing.T) {
	const least = 512 << 10
	for _, test := range []struct {
		roundTrip time.Duration
		frames    []string
	}{
		{time.Millisecond, nil},
		{5 * time.Millisecond, []string{fmt.Sprintf("WINDOW_UPDATE %d", 128<<20*5/1000-least)}},
		{time.Minute, []string{fmt.Sprintf("WINDOW_UPDATE %d", 16<<20-least)}},
	} {
		p := newPeer(t, newWire(), client, h2.Config{ConnWindow: least})
		p.session.GrowConnWindow(test.roundTrip)
		p.gets(test.frames...)
	}
}

// Padding is given back, too, and its length.
func TestPaddingIsRefunded(t *testing.T) {
	p := newPeer(t, newWire(), server, h2.Config{Window: 1000})
	p.open()
	p.frames()
	padding := data(1, "\xff"+strings.Repeat("\x00", 255), http2.FlagDataPadded)
	p.send(padding, padding)
	p.gets("WINDOW_UPDATE 1 512")
}

// A stream that is not read holds its window at most, and stops no other.
func TestAPausedStreamHoldsItsWindow(t *testing.T) {
	for _, how := range []string{"paused", "not read"} {
		t.Run(how, func(t *testing.T) {
			const window = 100 << 10
			p := newPeer(t, newWire(), client, h2.Config{Window: window})
			slow, other := p.open(), p.open()
			if how == "paused" {
				p.record(slow)
				slow.Pause()
			}
			r := p.record(other)
			p.frames()
			sent := numbered(window)
			p.send(data(1, string(sent[:60<<10])), data(1, string(sent[60<<10:])), data(3, "abc"))
			p.gets()
			r.got(t, `"abc"`)
			p.send(data(1, "x"), data(3, "def"))
			p.gets("RST_STREAM 1 FLOW_CONTROL_ERROR")
			r.got(t, `"abc"`, `"def"`)
			if how == "paused" {
				return
			}
			got, err := io.ReadAll(slow)
			var reset *h2.StreamError
			if !bytes.Equal(got, sent) || !errors.As(err, &reset) || reset.Remote || reset.Code != http2.ErrCodeFlowControl {
				t.Errorf("%d bytes, then %v", len(got), err)
			}
		})
	}
}

// What a Receiver leaves, and what came during a pause, arrives in order.
func TestBytesArriveInOrderThroughPauses(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	var got []byte
	r := &pickyReceiver{st: st, take: func(view []byte) int {
		n := min(len(view), 1+len(got)%7)
		got = append(got, view[:n]...)
		if len(got)%5 == 0 {
			st.Pause()
		}
		return n
	}}
	st.Push(r)
	sent := numbered(20_000)
	for rest := sent; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)%300)
		p.send(data(1, string(rest[:n])))
		rest = rest[n:]
	}
	p.send(data(1, "", endStream))
	for range 100_000 {
		if r.err != nil {
			break
		}
		st.Resume()
		p.wire.run()
	}
	if !bytes.Equal(got, sent) || r.err != io.EOF {
		t.Errorf("%d bytes, then %v", len(got), r.err)
	}
}

// A pickyReceiver takes a part of each view, and yields.
type pickyReceiver struct {
	st   *h2.Stream
	take func(view []byte) int
	err  error
}

func (r *pickyReceiver) Readable() error {
	view, err := r.st.View()
	if err == transport.ErrWouldBlock {
		return nil
	}
	if err != nil {
		r.err = err
		return err
	}
	r.st.Consume(r.take(view))
	r.st.Yield()
	return nil
}

func (r *pickyReceiver) End(err error) { r.err = err }
func (r *pickyReceiver) Finish()       { r.st.Close() }

// Streams that yield all the time take turns.
func TestStreamsThatYieldTakeTurns(t *testing.T) {
	const streams, calls = 5, 10_000
	p := newPeer(t, newWire(), client, h2.Config{})
	var order []uint32
	left := calls
	var frames []sentFrame
	for range streams {
		st := p.open()
		st.Push(&pickyReceiver{st: st, take: func(view []byte) int {
			if left--; left > 0 {
				order = append(order, st.ID())
				return 0
			}
			return len(view)
		}})
		frames = append(frames, data(st.ID(), "x"))
	}
	p.wire.run()
	p.send(frames...)
	for i := streams; i < len(order); i++ {
		if order[i] != order[i-streams] {
			t.Fatalf("the order is %v", order[i-streams:i+1])
		}
	}
	if len(order) < calls/2 {
		t.Errorf("%d calls", len(order))
	}
}

// Before the peer has acknowledged our SETTINGS, it may use the window that the RFC gives it.
func TestASmallWindowHoldsFromTheAcknowledgementOn(t *testing.T) {
	p := newSilentPeer(t, newWire(), server, h2.Config{Window: 1000})
	p.send(settings(), request(1, false), data(1, strings.Repeat("x", 5000)))
	early := p.accepted()
	if got := p.frames(); got[len(got)-1] != "HEADERS 1 :status=200" {
		t.Fatalf("%q", got)
	}
	p.send(settingsAck()) // the window of stream 1 is -4000 now
	readFull(t, early, 5000)
	p.gets("WINDOW_UPDATE 1 5000")
	p.send(data(1, strings.Repeat("x", 1000)))
	p.gets()
	p.send(data(1, "x"))
	p.gets("RST_STREAM 1 FLOW_CONTROL_ERROR")
	p.send(request(3, false), data(3, strings.Repeat("x", 1000)), request(5, false), data(5, strings.Repeat("x", 1001)))
	p.gets("HEADERS 3 :status=200", "HEADERS 5 :status=200", "RST_STREAM 5 FLOW_CONTROL_ERROR")
}

// What arrives for a stream that discards it is given back.
func TestWhatIsDiscardedIsRefunded(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{Window: 1000})
	st := p.open()
	p.record(st)
	st.Pause()
	p.frames()
	p.send(data(1, strings.Repeat("x", 900)))
	p.gets()
	st.Linger(patience)
	p.gets("WINDOW_UPDATE 1 900")
	p.send(data(1, strings.Repeat("x", 500)))
	p.gets("WINDOW_UPDATE 1 500")
	p.send(data(1, strings.Repeat("x", 1000)), data(1, "", endStream))
	p.gets("WINDOW_UPDATE 1 1000", `DATA 1 "" END_STREAM`)
	if p.session.Streams() != 0 {
		t.Error("the stream has not ended")
	}
}

// The payload that was under way to streams when they were closed is dropped, and no nuisance.
func TestPayloadOfClosedStreamsIsDropped(t *testing.T) {
	const streams, frames = 300, 20
	p := newPeer(t, newWire(), client, h2.Config{Window: 1 << 20})
	var all []*h2.Stream
	for range streams {
		all = append(all, p.open())
	}
	p.frames()
	for _, st := range all {
		st.Close()
	}
	p.frames()
	for range frames {
		for _, st := range all {
			p.send(data(st.ID(), strings.Repeat("x", 2000)))
		}
	}
	for _, st := range all {
		p.send(headers(st.ID(), true, field("trailer", "x")))
	}
	p.gets("WINDOW_UPDATE " + fmt.Sprint(8390000))
	if err := p.session.Err(); err != nil {
		t.Error(err)
	}
}

// A view belongs to its reader, also when another goroutine closes the stream.
func TestAViewStaysValidAfterClose(t *testing.T) {
	for name, end := range map[string]func(st *h2.Stream){
		"Close": func(st *h2.Stream) { st.Close() },
		"Linger": func(st *h2.Stream) {
			go st.Linger(patience)
			waitFor(t, func() bool { return st.SetReadDeadline(noTime) != nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			st, other := p.open(), p.open()
			p.send(data(1, "abcdef"), data(1, strings.Repeat("y", 20<<10)))
			view, err := st.View()
			if err != nil || len(view) < 6 {
				t.Fatalf("%q, %v", view, err)
			}
			end(st)
			for range 10 { // these must not get the same memory
				p.send(data(3, strings.Repeat("z", 100)))
				p.send(data(3, strings.Repeat("z", 20<<10)))
			}
			if string(view[:6]) != "abcdef" {
				t.Errorf("the view has become %q", view[:6])
			}
			st.Consume(len(view))
			if _, err := st.View(); err != net.ErrClosed {
				t.Errorf("%v after that", err)
			}
			other.Close()
			st.Close()
		})
	}
}

func TestReadTakesBytesAsTheyArrive(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	got := make(chan string)
	go func() {
		for {
			buf := make([]byte, 4)
			n, err := st.Read(buf)
			if err != nil {
				got <- err.Error()
				return
			}
			got <- string(buf[:n])
		}
	}()
	for _, step := range []struct{ sent, want string }{{"ab", "ab"}, {"cdefgh", "cdef"}, {"", "gh"}, {"i", "i"}} {
		if step.sent != "" {
			p.send(data(1, step.sent))
		}
		if s := <-got; s != step.want {
			t.Errorf("%q, want %q", s, step.want)
		}
	}
	p.send(data(1, "", endStream))
	if s := <-got; s != "EOF" {
		t.Errorf("%q at the end", s)
	}
}
