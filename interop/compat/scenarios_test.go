package compat

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
)

// A scenario is played with both libraries.
type scenario struct {
	play    func(s *session)
	stalled bool     // the peer reads nothing
	ours    []string // what compat/gorilla notes, if gorilla doesn't
}

const (
	text    = gorilla.TextMessage
	binary  = gorilla.BinaryMessage
	closing = gorilla.CloseMessage
	ping    = gorilla.PingMessage
	pong    = gorilla.PongMessage
)

func soon() time.Time { return time.Now().Add(patience) }

var scenarios = map[string]scenario{
	"messages of all kinds": {play: func(s *session) {
		s.peer.text("hello")
		s.peer.send(ws.OpBinary, true, "\x00\xff")
		s.peer.send(ws.OpText, false, "in ")
		s.peer.ping("between")
		s.peer.send(ws.OpContinuation, true, "parts")
		s.peer.text("")
		s.peer.text(strings.Repeat("long", 50_000))
		for range 5 {
			s.read()
		}
		s.write(text, "hello")
		s.write(binary, "\x00\xff")
		s.write(text, "")
		s.write(ping, "are you there?")
		s.write(pong, "yes")
		s.write(text, strings.Repeat("long", 50_000))
		s.note("prepared %v", s.lib.prepared(s.conn, text, []byte("prepared")))
		s.write(7, "no such type")
		s.write(text, "after it")
	}},
	"the peer closes": {play: func(s *session) {
		s.peer.close(1001, "bye")
		s.read()
		s.read()
		_, _, err := s.conn.ReadMessage()
		s.note("IsCloseError %v %v", s.lib.isClose(err, 1000, 1001), s.lib.isClose(err, 1000))
		s.note("IsUnexpectedCloseError %v %v", s.lib.unexpected(err, 1000, 1001), s.lib.unexpected(err, 1000))
		s.write(text, "too late")
		s.note("control %v", s.conn.WriteControl(ping, nil, soon()))
		s.note("close %v", s.conn.WriteControl(closing, s.lib.format(1000, ""), soon()))
	}},
	"the peer closes without a code": {play: func(s *session) {
		s.peer.close(0, "")
		s.read()
	}},
	"the peer closes with a code that must not be sent": {play: func(s *session) {
		s.peer.close(1006, "")
		s.read()
		s.read()
	}},
	"the stream ends": {play: func(s *session) {
		s.peer.text("last")
		s.peer.end()
		s.read()
		s.read()
		s.read()
		s.note("NextReader %v", third(s.conn.NextReader()))
	}},
	"writes after a read that has found the end of the stream": {ours: []string{
		`read -1 "" close 1006 "unexpected EOF"`, `write close 1006 "unexpected EOF"`, "peer:", "end",
	}, play: func(s *session) {
		s.peer.end()
		s.read()
		s.write(text, "half open")
	}},
	"the stream ends in the middle of a message": {play: func(s *session) {
		s.peer.send(ws.OpText, false, "part")
		s.peer.end()
		s.read()
		s.read()
	}},
	"the stream ends in the middle of a frame": {play: func(s *session) {
		s.peer.conn.Write([]byte{0x81, 0x05})
		s.peer.end()
		s.read()
	}},
	"the peer breaks the protocol": {play: func(s *session) {
		s.peer.send(ws.OpContinuation, true, "of nothing")
		s.read()
		s.read()
		s.write(text, "too late")
	}},
	"a read deadline passes": {play: func(s *session) {
		s.conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		s.read()
		s.conn.SetReadDeadline(time.Time{})
		s.peer.text("late")
		s.read()
		s.note("NextReader %v", third(s.conn.NextReader()))
		s.write(text, "writing goes on")
	}},
	"a read deadline has passed when a message arrives": {play: func(s *session) {
		s.peer.text("in time")
		s.read()
		s.conn.SetReadDeadline(time.Unix(1, 0))
		s.peer.text("late")
		s.read()
	}},
	"a read deadline that has not passed": {play: func(s *session) {
		s.conn.SetReadDeadline(soon())
		s.peer.text("in time")
		s.read()
		s.conn.SetReadDeadline(time.Time{})
		s.peer.text("always")
		s.read()
	}},
	"a message of the size of the limit, and a larger one": {play: func(s *session) {
		s.conn.SetReadLimit(10)
		s.peer.text("0123456789")
		s.peer.send(ws.OpText, false, "01234")
		s.peer.send(ws.OpContinuation, true, "56789")
		s.peer.text("0123456789a")
		for range 4 {
			s.read()
		}
		s.write(text, "too late")
	}},
	"fragments that are larger than the limit together": {play: func(s *session) {
		s.conn.SetReadLimit(10)
		s.peer.send(ws.OpText, false, "0123456")
		s.peer.send(ws.OpContinuation, true, "789ab")
		s.read()
		s.read()
	}},
	"fragments whose size together isn't a number": {ours: []string{
		"read 2 \"p\" read limit", "peer:", "close 1009", "end",
	}, play: func(s *session) {
		s.peer.send(ws.OpBinary, false, "p")
		ws.WriteHeader(s.peer.conn, ws.Header{OpCode: ws.OpContinuation, Masked: s.peer.client, Length: 1<<63 - 1})
		s.read()
	}},
	"a limit that is set between messages": {play: func(s *session) {
		s.conn.SetReadLimit(3)
		s.peer.text("abc")
		s.read()
		s.conn.SetReadLimit(100)
		s.peer.text("abcdef")
		s.read()
	}},
	"pings are answered while something reads": {play: func(s *session) {
		s.peer.ping("p")
		s.peer.text("x")
		s.write(text, "before the read")
		s.read()
		s.write(text, "after it")
	}},
	"a handler of pings that answers them": {play: func(s *session) {
		s.conn.SetPingHandler(func(p string) error {
			s.note("ping %q", p)
			return s.conn.WriteControl(pong, []byte(p), soon())
		})
		s.peer.ping("p")
		s.peer.text("x")
		s.read()
		s.conn.SetPingHandler(nil)
		s.peer.ping("q")
		s.peer.text("y")
		s.read()
	}},
	"a handler of pings that doesn't answer them": {ours: []string{
		`ping "p"`, `read 1 "x" nil`, "write nil", "peer:", `control 10 "p"`, `message "the only answer"`, "end",
	}, play: func(s *session) {
		s.conn.SetPingHandler(func(p string) error { s.note("ping %q", p); return nil })
		s.peer.ping("p")
		s.peer.text("x")
		s.read()
		s.write(text, "the only answer")
	}},
	"a handler of pings that fails": {play: func(s *session) {
		s.conn.SetPingHandler(func(p string) error {
			return errors.Join(s.conn.WriteControl(pong, []byte(p), soon()), errOfHandler)
		})
		s.peer.ping("p")
		s.read()
		s.peer.text("x")
		s.read()
		s.write(text, "writing goes on")
	}},
	"a handler of pongs": {play: func(s *session) {
		s.conn.SetPongHandler(func(p string) error { s.note("pong %q", p); return nil })
		s.peer.send(ws.OpPong, true, "p")
		s.peer.text("x")
		s.read()
		s.conn.SetPongHandler(func(string) error { return errOfHandler })
		s.peer.send(ws.OpPong, true, "q")
		s.read()
		s.read()
	}},
	"a handler of pongs that extends the read deadline": {play: func(s *session) {
		s.conn.SetReadDeadline(soon())
		s.conn.SetPongHandler(func(string) error { return s.conn.SetReadDeadline(time.Now().Add(time.Hour)) })
		s.write(ping, "p")
		s.peer.send(ws.OpPong, true, "p")
		s.peer.text("x")
		s.read()
	}},
	"a handler of close frames that answers": {play: func(s *session) {
		s.conn.SetCloseHandler(func(code int, reason string) error {
			s.note("closed %d %q", code, reason)
			return s.conn.WriteControl(closing, s.lib.format(code, ""), soon())
		})
		s.peer.close(4000, "reason")
		s.read()
		s.read()
		s.write(text, "too late")
	}},
	"a handler of close frames that doesn't answer": {ours: []string{
		`read -1 "" close 4000 "reason"`, "peer:", "close 4000", "end",
	}, play: func(s *session) {
		s.conn.SetCloseHandler(func(code int, reason string) error { return nil })
		s.peer.close(4000, "reason")
		s.read()
	}},
	"a handler that calls the one before": {play: func(s *session) {
		before := s.conn.PingHandler()
		s.conn.SetPingHandler(func(p string) error { s.note("ping %q", p); return before(p) })
		s.peer.ping("p")
		s.peer.text("x")
		s.read()
		s.note("pong %v, close %v", s.conn.PongHandler()("p"), s.conn.CloseHandler() != nil)
	}},
	"a handler of close frames when we have closed first": {play: func(s *session) {
		s.conn.SetCloseHandler(func(code int, reason string) error {
			s.note("closed %d %q", code, reason)
			return errors.Join(s.conn.WriteControl(closing, nil, soon()), errOfHandler)
		})
		s.note("close %v", s.conn.WriteMessage(closing, s.lib.format(4000, "")))
		s.peer.close(4000, "")
		s.read()
		s.read()
	}},
	"a handler of close frames that fails": {play: func(s *session) {
		s.conn.SetCloseHandler(func(code int, reason string) error {
			return errors.Join(s.conn.WriteControl(closing, s.lib.format(code, ""), soon()), errOfHandler)
		})
		s.peer.close(1000, "")
		s.read()
		s.read()
	}},
	"we close first, and read until the peer answers": {play: func(s *session) {
		s.note("close %v", s.conn.WriteMessage(closing, s.lib.format(1000, "done")))
		s.write(text, "too late")
		s.note("again %v", s.conn.WriteControl(closing, s.lib.format(1001, ""), soon()))
		s.peer.text("still on its way")
		s.peer.close(1000, "")
		s.read()
		s.read()
		s.read()
	}},
	"we close first while another goroutine reads": {play: func(s *session) {
		ended := make(chan error)
		go func() {
			_, _, err := s.conn.ReadMessage()
			ended <- err
		}()
		s.note("close %v", s.conn.WriteControl(closing, s.lib.format(1001, ""), soon()))
		s.peer.close(1001, "")
		s.note("the read returns %v", <-ended)
	}},
	"we close without a code": {play: func(s *session) {
		s.note("close %v", s.conn.WriteMessage(closing, []byte{}))
		s.peer.close(0, "")
		s.read()
	}},
	"we close, and the stream ends without an answer": {play: func(s *session) {
		s.note("close %v", s.conn.WriteMessage(closing, s.lib.format(1000, "")))
		s.peer.end()
		s.read()
	}},
	"we close with a code that must not be sent": {ours: []string{"close error", "peer:", "end"}, play: func(s *session) {
		s.note("close %v", s.conn.WriteMessage(closing, s.lib.format(1006, "")))
	}},
	"Close sends no close frame": {play: func(s *session) {
		s.write(text, "last")
		s.note("Close %v", s.conn.Close())
		s.note("Close %v", s.conn.Close())
		s.read()
		s.write(text, "too late")
		s.note("control %v", s.conn.WriteControl(ping, nil, soon()))
	}},
	"Close ends a read that waits": {play: func(s *session) {
		ended := make(chan error)
		go func() {
			_, _, err := s.conn.ReadMessage()
			ended <- err
		}()
		s.conn.Close()
		s.note("the read returns %v", <-ended)
	}},
	"Close after a close message": {play: func(s *session) {
		s.note("close %v", s.conn.WriteMessage(closing, s.lib.format(1000, "")))
		s.conn.Close()
		s.read()
		s.write(text, "too late")
	}},
	"writers": {play: func(s *session) {
		w, err := s.conn.NextWriter(text)
		s.note("NextWriter %v", err)
		for _, part := range []string{"in ", "three ", "parts"} {
			io.WriteString(w, part)
		}
		s.note("Close %v", w.Close())
		s.note("Close again fails: %v", w.Close() != nil)
		_, err = io.WriteString(w, "x")
		s.note("Write after Close fails: %v", err != nil)
		w, _ = s.conn.NextWriter(binary)
		io.WriteString(w, strings.Repeat("long", 50_000))
		s.note("control in between %v", s.conn.WriteControl(ping, nil, soon()))
		s.note("Close %v", w.Close())
		w, _ = s.conn.NextWriter(text)
		io.WriteString(w, "not closed")
		s.write(text, "the next message")
		w, _ = s.conn.NextWriter(text)
		io.WriteString(w, "not closed either")
		w, _ = s.conn.NextWriter(text)
		s.note("Close of an empty one %v", w.Close())
		_, err = s.conn.NextWriter(7)
		s.note("no such type %v", err)
	}},
	"a writer is open when something else is written": {play: func(s *session) {
		for _, write := range []func(){
			func() { s.write(pong, "p") },
			func() { s.write(ping, "p") },
			func() { s.write(7, "no such type") },
			func() { s.note("no such type %v", second(s.conn.NextWriter(7))) },
			func() { s.write(closing, string(s.lib.format(1000, ""))) },
		} {
			w, _ := s.conn.NextWriter(text)
			io.WriteString(w, "not closed")
			write()
			_, err := io.WriteString(w, "x")
			s.note("Write fails: %v, Close: %v", err != nil, w.Close() != nil)
		}
	}},
	"a prepared message is written while a writer is open": {play: func(s *session) {
		w, _ := s.conn.NextWriter(text)
		io.WriteString(w, "a longer ")
		s.note("prepared %v", s.lib.prepared(s.conn, text, []byte("prepared")))
		io.WriteString(w, "message")
		s.note("Close %v", w.Close())
	}},
	"readers": {play: func(s *session) {
		s.peer.text("the first message")
		s.peer.send(ws.OpText, false, "the second")
		s.peer.send(ws.OpContinuation, true, " message")
		s.peer.send(ws.OpBinary, true, "the third")
		_, first, err := s.conn.NextReader()
		part := make([]byte, 9)
		io.ReadFull(first, part)
		s.note("NextReader %v, part %q", err, part)
		messageType, second, err := s.conn.NextReader()
		_, stale := first.Read(part)
		s.note("the first is at its end: %v", stale)
		all, readErr := io.ReadAll(second)
		s.note("second %d %q %v %v", messageType, all, err, readErr)
		_, again := second.Read(part)
		s.note("at its end %v", again)
		s.read()
	}},
	"JSON": {play: func(s *session) {
		type order struct{ Symbol string }
		s.note("WriteJSON %v", s.conn.WriteJSON(order{"BTC"}))
		s.peer.text(`{"Symbol":"ETH"}`)
		s.peer.text("")
		s.peer.text("{")
		s.peer.text("not JSON")
		s.peer.text(`{"Symbol":"SOL"} {"Symbol":"XRP"}`)
		for range 5 {
			var o order
			err := s.conn.ReadJSON(&o)
			s.note("ReadJSON %q %v", o.Symbol, err)
		}
	}},
	"JSON that can't be encoded": {ours: []string{"WriteJSON fails: true", "peer:", "end"}, play: func(s *session) {
		s.note("WriteJSON fails: %v", s.conn.WriteJSON(func() {}) != nil)
	}},
	"control messages": {play: func(s *session) {
		s.note("in time %v", s.conn.WriteControl(ping, []byte("a"), soon()))
		s.note("without a deadline %v", s.conn.WriteControl(pong, []byte("b"), time.Time{}))
		s.note("too late %v", s.conn.WriteControl(ping, []byte("c"), time.Now().Add(-time.Second)))
		s.note("close too late %v", s.conn.WriteControl(closing, nil, time.Now().Add(-time.Second)))
		s.note("too long %v", s.conn.WriteControl(ping, make([]byte, 126), soon()))
		s.note("too long a message %v", s.conn.WriteMessage(ping, make([]byte, 126)))
		s.note("not one %v", s.conn.WriteControl(text, nil, soon()))
		s.write(text, "writing goes on")
	}},
	"text that isn't UTF-8": {ours: []string{"write error", "write nil", "peer:", `message "valid"`, "end"}, play: func(s *session) {
		s.write(text, "\xff")
		s.write(text, "valid")
	}},
	"received text that isn't UTF-8": {ours: []string{`read 1 "" error`, "peer:", "close 1007", "end"}, play: func(s *session) {
		s.peer.text("\xff")
		s.read()
	}},
	"a write deadline passes": {stalled: true, play: func(s *session) {
		s.conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		var err error
		for range 1000 {
			if err = s.conn.WriteMessage(binary, make([]byte, 1<<20)); err != nil {
				break
			}
		}
		s.note("write %v", err)
		s.conn.SetWriteDeadline(time.Time{})
		s.write(text, "never again")
	}},
	"a write deadline passes while nothing is written": {play: func(s *session) {
		s.conn.SetWriteDeadline(soon())
		s.write(text, "in time")
		s.conn.SetWriteDeadline(time.Unix(1, 0))
		s.peer.ping("answered nevertheless")
		s.peer.text("after the ping")
		s.read()
		s.note("control %v", s.conn.WriteControl(ping, []byte("too"), soon()))
		s.conn.SetWriteDeadline(soon())
		s.write(text, "in time again")
		s.conn.SetWriteDeadline(time.Unix(1, 0))
		s.peer.close(1000, "bye")
		s.read()
	}},
	"a message is written after the write deadline": {play: func(s *session) {
		s.conn.SetWriteDeadline(time.Unix(1, 0))
		s.write(text, "too late")
		s.conn.SetWriteDeadline(time.Time{})
		s.write(text, "never again")
	}},
	"a close message waits for a write until its deadline": {stalled: true, play: func(s *session) {
		s.fill()
		began := time.Now()
		err := s.conn.WriteControl(closing, nil, time.Now().Add(50*time.Millisecond))
		s.note("close %v, late %v", err, time.Since(began) > patience)
	}},
	"the answer to a close frame can't be written": {stalled: true, play: func(s *session) {
		s.fill()
		s.peer.close(1000, "")
		began := time.Now()
		s.read()
		s.note("late %v", time.Since(began) > patience)
	}},
	"a control message waits for a write until its deadline": {stalled: true, play: func(s *session) {
		writing := make(chan struct{})
		go func() {
			defer close(writing)
			for s.conn.WriteMessage(binary, make([]byte, 1<<20)) == nil {
			}
		}()
		var err error
		for err == nil {
			err = s.conn.WriteControl(ping, make([]byte, 125), time.Now().Add(50*time.Millisecond))
		}
		s.note("control %v", err)
		s.conn.Close()
		<-writing
	}},
}

func second(_ io.WriteCloser, err error) error { return err }

func third(_ int, _ io.Reader, err error) error { return err }

func TestTheScenariosEndAsWithGorilla(t *testing.T) {
	for name, s := range scenarios {
		for role, server := range map[string]bool{"client": false, "server": true} {
			t.Run(fmt.Sprint(name, ", as ", role), func(t *testing.T) {
				t.Parallel()
				want, got := play(t, &theirs, server, s), play(t, &ours, server, s)
				if s.ours != nil && slices.Equal(want, s.ours) {
					t.Error("the difference is gone")
				}
				if s.ours != nil {
					want = s.ours
				}
				if !slices.Equal(got, want) {
					t.Errorf("compat/gorilla:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
				}
			})
		}
	}
}
