package h2_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
)

func TestEndingsOfAStream(t *testing.T) {
	closes := func(p *peer, st *h2.Stream) { st.Close() }
	queued := func(p *peer, st *h2.Stream) { p.send(settings(4, 3)); st.Writev([]byte("abcde")) }
	closedWrite := func(p *peer, st *h2.Stream) { st.CloseWrite() }
	peerEnds := func(p *peer, st *h2.Stream) { p.send(data(st.ID(), "", endStream)) }
	late := func(p *peer, st *h2.Stream) { st.SetWriteDeadline(time.Unix(1, 0)) }
	opensWindow := func(p *peer, st *h2.Stream) { p.send(windowUpdate(st.ID(), 1000)) }
	type steps []func(p *peer, st *h2.Stream)
	for _, test := range []struct {
		name   string
		client bool
		steps  steps
		want   string // the frames of the stream
		open   bool   // the stream has not ended
	}{
		{"Close", client, steps{closes}, "RST_STREAM 1 CANCEL", false},
		{"Close of a server", server, steps{closes}, "RST_STREAM 1 CANCEL", false},
		{"Close twice", client, steps{closes, closes}, "RST_STREAM 1 CANCEL", false},
		{"Close with a queue", client, steps{queued, closes}, `SETTINGS ACK, DATA 1 "abc", RST_STREAM 1 CANCEL`, false},
		{"Close after CloseWrite", client, steps{closedWrite, closes}, `DATA 1 "" END_STREAM, RST_STREAM 1 CANCEL`, false},
		{"Close after CloseWrite of a server", server, steps{closedWrite, closes}, `DATA 1 "" END_STREAM, RST_STREAM 1 NO_ERROR`, false},
		{"Close after CloseWrite of a server, with a queue", server, steps{queued, closedWrite, closes}, `SETTINGS ACK, DATA 1 "abc", RST_STREAM 1 CANCEL`, false},
		{"Close after the peer's end", client, steps{peerEnds, closes}, `DATA 1 "" END_STREAM`, false},
		{"Close after the peer's end, with a queue", client, steps{queued, peerEnds, closes}, `SETTINGS ACK, DATA 1 "abc", RST_STREAM 1 CANCEL`, false},
		{"Close after both ends", client, steps{closedWrite, peerEnds, closes}, `DATA 1 "" END_STREAM`, false},
		{"Close after a reset of the peer", client, steps{func(p *peer, st *h2.Stream) { p.send(rst(1, 2)) }, closes}, "", false},
		{"CloseWrite", client, steps{closedWrite}, `DATA 1 "" END_STREAM`, true},
		{"CloseWrite twice", client, steps{closedWrite, closedWrite}, `DATA 1 "" END_STREAM`, true},
		{"CloseWrite after the peer's end", client, steps{peerEnds, closedWrite}, `DATA 1 "" END_STREAM`, false},
		{"CloseWrite with a queue", client, steps{queued, closedWrite}, `SETTINGS ACK, DATA 1 "abc"`, true},
		{"CloseWrite with a queue that is sent", client, steps{queued, closedWrite, opensWindow}, `SETTINGS ACK, DATA 1 "abc", DATA 1 "de" END_STREAM`, true},
		{"CloseWrite with a queue, after the peer's end", client, steps{queued, peerEnds, closedWrite, opensWindow}, `SETTINGS ACK, DATA 1 "abc", DATA 1 "de" END_STREAM`, false},
		{"CloseWrite after the write deadline", client, steps{late, closedWrite}, `DATA 1 "" END_STREAM`, true},
		{"CloseWrite with a queue, after the write deadline", client, steps{queued, late, closedWrite, opensWindow}, `SETTINGS ACK, DATA 1 "abc"`, true},
		{"CloseWrite after Close", client, steps{closes, closedWrite}, "RST_STREAM 1 CANCEL", false},
		{"Reset", client, steps{func(p *peer, st *h2.Stream) { st.Reset(http2.ErrCodeInternal) }}, "RST_STREAM 1 INTERNAL_ERROR", false},
		{"Reset after the peer's end", server, steps{peerEnds, func(p *peer, st *h2.Stream) { st.Reset(http2.ErrCodeNo) }}, "RST_STREAM 1 NO_ERROR", false},
		{"Reset after both ends", server, steps{closedWrite, peerEnds, func(p *peer, st *h2.Stream) { st.Reset(http2.ErrCodeNo) }}, `DATA 1 "" END_STREAM`, false},
		{"Reset after Close", client, steps{closes, func(p *peer, st *h2.Stream) { st.Reset(http2.ErrCodeNo) }}, "RST_STREAM 1 CANCEL", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), test.client, h2.Config{})
			st := p.open()
			p.frames()
			for _, step := range test.steps {
				step(p, st)
			}
			if got := strings.Join(p.frames(), ", "); got != test.want {
				t.Errorf("the peer got %q, want %q", got, test.want)
			}
			if open := p.session.Streams() == 1; open != test.open {
				t.Errorf("the stream is open: %v", open)
			}
			if p.session.Err() != nil {
				t.Errorf("the Session has ended: %v", p.session.Err())
			}
		})
	}
}

// What calls return after an end.
func TestErrorsAfterTheEndOfAStream(t *testing.T) {
	for _, test := range []struct {
		name  string
		end   func(p *peer, st *h2.Stream)
		read  error
		write error
	}{
		{"Close", func(p *peer, st *h2.Stream) { st.Close() }, net.ErrClosed, net.ErrClosed},
		{"Reset", func(p *peer, st *h2.Stream) { st.Reset(http2.ErrCodeNo) }, net.ErrClosed, net.ErrClosed},
		{"CloseWrite", func(p *peer, st *h2.Stream) { st.CloseWrite(); p.send(data(1, "", endStream)) }, io.EOF, syscall.EPIPE},
		{"Session.Close", func(p *peer, st *h2.Stream) { p.session.Close(0, nil) }, net.ErrClosed, net.ErrClosed},
		{"Session.Close with a cause", func(p *peer, st *h2.Stream) { p.session.Close(2, os.ErrProcessDone) }, os.ErrProcessDone, os.ErrProcessDone},
		{"the carrier's end", func(p *peer, st *h2.Stream) { p.wire.viewErr = io.EOF; p.wire.turn() }, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		{"the carrier's error", func(p *peer, st *h2.Stream) { p.wire.viewErr = syscall.ECONNRESET; p.wire.turn() }, syscall.ECONNRESET, syscall.ECONNRESET},
		{"the peer's RST_STREAM", func(p *peer, st *h2.Stream) { p.send(rst(1, http2.ErrCodeRefusedStream)) }, h2.ErrRefused, h2.ErrRefused},
		{"the peer's end, then RST_STREAM", func(p *peer, st *h2.Stream) { p.send(data(1, "", endStream), rst(1, http2.ErrCodeRefusedStream)) }, io.EOF, h2.ErrRefused},
		{"the peer's end, then that of the carrier", func(p *peer, st *h2.Stream) {
			p.send(data(1, "", endStream))
			p.wire.viewErr = io.EOF
			p.wire.turn()
		}, io.EOF, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			st := p.open()
			test.end(p, st)
			for range 2 {
				if _, err := st.View(); !errors.Is(err, test.read) {
					t.Errorf("View: %v, want %v", err, test.read)
				}
				if _, err := st.Read(make([]byte, 1)); !errors.Is(err, test.read) {
					t.Errorf("Read: %v, want %v", err, test.read)
				}
				if err := st.Writev([]byte("x")); !errors.Is(err, test.write) {
					t.Errorf("Writev: %v, want %v", err, test.write)
				}
				if err := st.SendHead(status("200"), false); !errors.Is(err, test.write) {
					t.Errorf("SendHead: %v, want %v", err, test.write)
				}
				if err := st.CloseWrite(); err != nil {
					t.Errorf("CloseWrite: %v", err)
				}
				if err := st.Linger(patience); err != nil {
					t.Errorf("Linger: %v", err)
				}
				if err := st.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				test.read, test.write = net.ErrClosed, net.ErrClosed
				if err := st.SetReadDeadline(noTime); err != net.ErrClosed {
					t.Errorf("SetReadDeadline: %v", err)
				}
				if err := st.SetWriteDeadline(noTime); err != net.ErrClosed {
					t.Errorf("SetWriteDeadline: %v", err)
				}
				if err := st.Drain(t.Context(), 0); err != net.ErrClosed {
					t.Errorf("Drain: %v", err)
				}
				if err := st.Push(nil); err != net.ErrClosed {
					t.Errorf("Push: %v", err)
				}
				st.Resume()
				st.Pause()
			}
		})
	}
}

func TestLinger(t *testing.T) {
	type step func(p *peer, st *h2.Stream)
	for _, test := range []struct {
		name   string
		client bool
		before step
		during step // before the end
		after  step // that brings it; nil: time
		want   string
	}{
		{"the peer ends", client, nil, nil, func(p *peer, st *h2.Stream) { p.send(data(1, "x", endStream)) }, `DATA 1 "" END_STREAM`},
		{"the peer has ended", client, func(p *peer, st *h2.Stream) { p.send(data(1, "x", endStream)) }, nil, func(p *peer, st *h2.Stream) {}, `DATA 1 "" END_STREAM`},
		{"the peer ends after CloseWrite", server, func(p *peer, st *h2.Stream) { st.CloseWrite() }, nil, func(p *peer, st *h2.Stream) { p.send(data(1, "", endStream)) }, `DATA 1 "" END_STREAM`},
		{"the peer resets", client, nil, nil, func(p *peer, st *h2.Stream) { p.send(rst(1, 8)) }, ""},
		{"the peer goes on sending", server, nil, func(p *peer, st *h2.Stream) { p.send(data(1, "y"), data(1, "z")) }, func(p *peer, st *h2.Stream) { p.send(data(1, "", endStream)) }, `DATA 1 "" END_STREAM`},
		{"with a queue", client, func(p *peer, st *h2.Stream) {
			p.send(settings(4, 1))
			st.Writev([]byte("ab"))
			st.CloseWrite()
			p.send(data(1, "", endStream))
		}, nil,
			func(p *peer, st *h2.Stream) { p.send(windowUpdate(1, 10)) }, `SETTINGS ACK, DATA 1 "a", DATA 1 "b" END_STREAM`},
		{"time", client, nil, nil, nil, "RST_STREAM 1 CANCEL"},
		{"time, after CloseWrite of a server", server, func(p *peer, st *h2.Stream) { st.CloseWrite() }, nil, nil, `DATA 1 "" END_STREAM, RST_STREAM 1 NO_ERROR`},
		{"Close", client, nil, nil, func(p *peer, st *h2.Stream) { st.Close() }, "RST_STREAM 1 CANCEL"},
		{"Session.Close", client, nil, nil, func(p *peer, st *h2.Stream) { p.session.Close(0, nil) }, "GOAWAY 0 NO_ERROR"},
		{"the carrier's end", client, nil, nil, func(p *peer, st *h2.Stream) { p.wire.viewErr = io.EOF; p.wire.turn() }, ""},
	} {
		for _, pushed := range []bool{false, true} {
			t.Run(test.name+map[bool]string{false: ", pulled", true: ", pushed"}[pushed], func(t *testing.T) {
				p := newPeer(t, newWire(), test.client, h2.Config{})
				st := p.open()
				p.frames()
				if pushed {
					p.record(st)
				}
				if test.before != nil {
					test.before(p, st)
				}
				d := time.Hour
				if test.after == nil {
					d = 10 * time.Millisecond
				}
				result := make(chan error, 1)
				if pushed {
					result <- st.Linger(d)
				} else {
					go func() { result <- st.Linger(d) }()
					waitFor(t, func() bool { return st.SetReadDeadline(time.Now().Add(d)) == net.ErrClosed })
				}
				if test.during != nil {
					test.during(p, st)
					if p.session.Streams() != 1 {
						t.Error("it ended too early")
					}
				}
				if test.after != nil {
					test.after(p, st)
				}
				var want error
				if test.after == nil && !pushed {
					want = os.ErrDeadlineExceeded
				}
				if err := <-result; err != want {
					t.Errorf("Linger returned %v, want %v", err, want)
				}
				waitFor(t, func() bool { return p.session.Streams() == 0 })
				p.waitForFrames(t, test.want)
				if _, err := st.View(); err != net.ErrClosed {
					t.Errorf("View: %v", err)
				}
			})
		}
	}
}

// waitForFrames waits for the frames of a stream that another goroutine has ended, which may still be
// writing.
func (p *peer) waitForFrames(t *testing.T, want string) {
	t.Helper()
	var got []string
	waitFor(t, func() bool {
		got = append(got, p.frames()...)
		return len(strings.Join(got, ", ")) >= len(want)
	})
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("the peer got %q, want %q", got, want)
	}
}

func TestLingerForAnswer(t *testing.T) {
	isAnswer := func(payload []byte) bool { return bytes.HasSuffix(payload, []byte("answer")) }
	ended := `DATA 1 "" END_STREAM, RST_STREAM 1 NO_ERROR`
	for _, test := range []struct {
		name    string
		before  func(p *peer, st *h2.Stream)
		answers []string // what the peer sends; the last ends the stream
		want    string
	}{
		{"the answer", nil, []string{"answer"}, ended},
		{"the answer after other data", nil, []string{"x", "y", "z and the answer"}, ended},
		{"END_STREAM", nil, []string{""}, `DATA 1 "" END_STREAM`},
		{"the answer, unread", func(p *peer, st *h2.Stream) { p.send(data(1, "x and the answer")) }, nil, ended},
		{"other data, unread", func(p *peer, st *h2.Stream) { p.send(data(1, "x")) }, []string{"answer"}, ended},
		{"data from before the last message has left", func(p *peer, st *h2.Stream) {
			p.send(settings(4, 1))
			st.Writev([]byte("ab"))
		}, []string{"too early an answer", "the answer"}, `SETTINGS ACK, DATA 1 "a", DATA 1 "b", ` + ended},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), server, h2.Config{})
			st := p.open()
			p.frames()
			if test.before != nil {
				test.before(p, st)
			}
			result := make(chan error, 1)
			go func() { result <- st.LingerForAnswer(time.Hour, isAnswer) }()
			waitFor(t, func() bool { return st.SetReadDeadline(noTime) == net.ErrClosed })
			for i, answer := range test.answers {
				if i > 0 {
					p.send(windowUpdate(1, 10))
				}
				if p.session.Streams() != 1 {
					t.Fatal("it ended too early")
				}
				if answer == "" {
					p.send(data(1, "", endStream))
				} else {
					p.send(data(1, answer))
				}
			}
			if err := <-result; err != nil {
				t.Error(err)
			}
			if got := strings.Join(p.frames(), ", "); got != test.want {
				t.Errorf("the peer got %q, want %q", got, test.want)
			}
		})
	}
	p := newPeer(t, newWire(), server, h2.Config{})
	st := p.open()
	p.frames()
	if err := st.LingerForAnswer(time.Millisecond, isAnswer); err != os.ErrDeadlineExceeded {
		t.Errorf("without an answer: %v", err)
	}
	p.waitForFrames(t, ended)
}

// A reader may change what it has in a view, until it gives that back.
func TestLingerForAnswerLeavesAViewToItsReader(t *testing.T) {
	const arrived = "x and the answer"
	for _, part := range []int{1, len(arrived)} { // how much is in the reader's view
		p := newPeer(t, newWire(), server, h2.Config{})
		st := p.open()
		p.frames()
		p.send(data(1, arrived[:part]))
		view, err := st.View()
		if string(view) != arrived[:part] || err != nil {
			t.Fatalf("%q, %v", view, err)
		}
		if part < len(arrived) {
			p.send(data(1, arrived[part:]))
		}
		var looked atomic.Int32
		isAnswer := func(payload []byte) bool {
			if len(payload) > 0 {
				looked.Add(1)
			}
			return bytes.HasSuffix(payload, []byte("Answer")) || bytes.HasSuffix(payload, []byte("answer"))
		}
		result := make(chan error, 1)
		go func() { result <- st.LingerForAnswer(time.Hour, isAnswer) }()
		if part == len(arrived) {
			view[part-len("answer")] = 'A' // which the race detector must not mind
		}
		waitFor(t, func() bool { return st.SetReadDeadline(noTime) == net.ErrClosed })
		if n := looked.Load(); n > 0 {
			t.Errorf("%d of %d bytes in a view: looked %d times before they were given back", part, len(arrived), n)
		}
		st.Consume(part)
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// A goroutine that reads while another lingers gets net.ErrClosed.
func TestLingerWakesTheReader(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	read := make(chan error)
	go func() { _, err := st.View(); read <- err }()
	go st.Linger(time.Hour)
	if err := <-read; err != net.ErrClosed {
		t.Errorf("%v", err)
	}
	st.Close()
}

// Every stream of a Session that is lost gets the error, whatever it is doing.
func TestEachStreamOfALostSessionGetsTheError(t *testing.T) {
	for _, loss := range []struct {
		name string
		lose func(p *peer)
		want func(err error) bool
	}{
		{"the carrier's end", func(p *peer) { p.wire.viewErr = io.EOF; p.wire.turn() }, is(io.ErrUnexpectedEOF)},
		{"an error of the carrier", func(p *peer) { p.wire.viewErr = syscall.ECONNRESET; p.wire.turn() }, is(syscall.ECONNRESET)},
		{"Session.Close", func(p *peer) { p.session.Close(0, os.ErrProcessDone); p.wire.run() }, is(os.ErrProcessDone)},
		{"a violation", func(p *peer) { p.send(data(2, "x")) }, func(err error) bool {
			var ended *h2.SessionError
			return errors.As(err, &ended) && ended.Code == http2.ErrCodeProtocol && !ended.Remote
		}},
	} {
		t.Run(loss.name, func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			p.send(settings(4, 3))
			results := make(chan string, 100)
			running := 0
			expect := func(name string, f func() error) {
				running++
				go func() {
					if err := f(); !loss.want(err) {
						t.Errorf("%s: %v", name, err)
					}
					results <- name
				}()
			}
			viewing, reading, draining, lingering := p.open(), p.open(), p.open(), p.open()
			expect("View", func() error { _, err := viewing.View(); return err })
			expect("Read", func() error { _, err := reading.Read(make([]byte, 1)); return err })
			draining.Writev([]byte("abcdef"))
			expect("Drain", func() error { return draining.Drain(context.Background(), 0) })
			lingered := make(chan error, 1)
			go func() { lingered <- lingering.Linger(time.Hour) }()
			opening, err := p.session.Open(connect, false)
			if err != nil {
				t.Fatal(err)
			}
			expect("Head", func() error { _, err := opening.Head(context.Background()); return err })
			ended := make(chan error, 2)
			watched := p.open()
			watched.OnEnd(func(err error) { ended <- err })
			pushed, paused, buffered := p.record(p.open()), p.record(p.open()), p.open()
			paused.st.Pause()
			p.send(data(buffered.ID(), "abc"), data(paused.st.ID(), "def"))
			changed := p.session.Done()

			loss.lose(p)
			for range running {
				select {
				case <-results:
				case <-time.After(patience):
					t.Fatal("a stream was forgotten")
				}
			}
			if err := <-lingered; err != nil {
				t.Errorf("Linger: %v", err)
			}
			if err := <-ended; !loss.want(err) || len(ended) > 0 {
				t.Errorf("OnEnd: %v", err)
			}
			watched.OnEnd(func(err error) { ended <- err }) // after the end
			if err := <-ended; !loss.want(err) {
				t.Errorf("OnEnd: %v", err)
			}
			waitFor(t, func() bool { pushed.mu.Lock(); defer pushed.mu.Unlock(); return pushed.ends == 1 })
			if view, err := buffered.View(); string(view) != "abc" || err != nil {
				t.Errorf("View: %q, %v", view, err)
			}
			buffered.Consume(3)
			if _, err := buffered.View(); !loss.want(err) {
				t.Errorf("View: %v", err)
			}
			paused.got(t)
			paused.st.Resume()
			waitFor(t, func() bool { paused.mu.Lock(); defer paused.mu.Unlock(); return paused.ends == 1 })
			paused.got(t, `"def"`, p.session.Err().Error())
			pushed.got(t, p.session.Err().Error())
			if err := p.session.Err(); !loss.want(err) {
				t.Errorf("Err: %v", err)
			}
			if _, err := p.session.Open(connect, false); !loss.want(err) {
				t.Errorf("Open: %v", err)
			}
			if _, err := p.session.Settings(t.Context()); !loss.want(err) {
				t.Errorf("Settings: %v", err)
			}
			<-changed
			if p.session.Streams() != 0 || p.session.Room() != 0 || !p.session.GoingAway() {
				t.Error("streams are left")
			}
		})
	}
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// A server tells the client twice, so that requests that are under way are served.
func TestShutdownOfAServer(t *testing.T) {
	p := newPeer(t, newWire(), server, h2.Config{})
	first := p.open()
	p.frames()
	p.session.Shutdown()
	p.session.Shutdown()
	p.gets("GOAWAY 2147483647 NO_ERROR", `PING "shutdown"`)
	if !p.session.GoingAway() {
		t.Error("it is not going away")
	}
	p.send(request(3, false)) // it was under way
	second := p.accepted()
	p.gets("HEADERS 3 :status=200")
	p.send(rawFrame(http2.FramePing, http2.FlagPingAck, 0, "shutdown"))
	p.gets("GOAWAY 3 NO_ERROR")
	p.send(request(5, false), data(5, "x"))
	p.gets("RST_STREAM 5 REFUSED_STREAM")
	first.Writev([]byte("x"))
	first.Close()
	p.gets(`DATA 1 "x"`, "RST_STREAM 1 CANCEL")
	if p.session.Err() != nil {
		t.Fatal("it has ended too early")
	}
	second.Close()
	p.gets("RST_STREAM 3 CANCEL")
	p.wire.run()
	if err := p.session.Err(); !errors.Is(err, net.ErrClosed) || !p.wire.closed {
		t.Errorf("the end is %v, and the carrier closed: %v", err, p.wire.closed)
	}
}

func TestShutdownOfAClient(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	p.frames()
	p.session.Shutdown()
	p.gets("GOAWAY 0 NO_ERROR")
	if _, err := p.session.Open(connect, false); err != h2.ErrNoRoom {
		t.Errorf("Open: %v", err)
	}
	p.send(data(1, "abc", endStream))
	if got, err := io.ReadAll(st); string(got) != "abc" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	st.CloseWrite()
	p.gets(`DATA 1 "" END_STREAM`)
	p.wire.run()
	if err := p.session.Err(); !errors.Is(err, net.ErrClosed) || !p.wire.closed {
		t.Errorf("the end is %v, and the carrier closed: %v", err, p.wire.closed)
	}
}

func TestShutdownWithoutStreamsEndsTheSession(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	p.session.Shutdown()
	p.wire.run()
	p.gets("GOAWAY 0 NO_ERROR")
	if p.session.Err() == nil || !p.wire.closed {
		t.Error("it has not ended")
	}
}

// Config.Changed is called for each change, with no lock held.
func TestChangedIsCalled(t *testing.T) {
	calls := 0
	p := newSilentPeer(t, newWire(), client, h2.Config{Changed: func(s *h2.Session) {
		calls++
		s.Room()
		s.Streams()
	}})
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"SETTINGS", func() { p.send(settings(3, 10)) }},
		{"Open", func() { p.open() }},
		{"GOAWAY", func() { p.send(goAway(1, 0, "")) }},
		{"RST_STREAM", func() { p.send(rst(1, 8)) }},
	} {
		before := calls
		change.do()
		if calls == before {
			t.Errorf("it isn't called after %s", change.name)
		}
	}
}

// Another goroutine ends the stream while Writev writes.
func TestEndingsDuringAWrite(t *testing.T) {
	for name, test := range map[string]struct {
		size   int
		ends   func(st *h2.Stream)
		want   string // the last frame of the stream
		failed bool
	}{
		"CloseWrite":                  {20 << 10, func(st *h2.Stream) { st.CloseWrite() }, `DATA 1 "" END_STREAM`, false},
		"Close":                       {20 << 10, func(st *h2.Stream) { st.Close() }, "RST_STREAM 1 CANCEL", false},
		"CloseWrite and Close":        {20 << 10, func(st *h2.Stream) { st.CloseWrite(); st.Close() }, "RST_STREAM 1 CANCEL", false},
		"Close before all is written": {200 << 10, func(st *h2.Stream) { st.Close() }, "RST_STREAM 1 CANCEL", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			p := newPeer(t, w, client, h2.Config{})
			st := p.open()
			p.send(data(1, "", endStream))
			p.frames()
			w.during = func() { test.ends(st) }
			if err := st.Writev(numbered(test.size)); (err != nil) != test.failed {
				t.Error(err)
			}
			frames := p.frames()
			if last := frames[len(frames)-1]; last != test.want {
				t.Errorf("%q", frames)
			}
		})
	}
}
