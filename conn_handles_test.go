package websock

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// A writer that was closed must do nothing to the message of the next one.
func TestAWriterThatWasClosedLeavesTheNextMessageAlone(t *testing.T) {
	c, s := newScripted(Server, Limits{})
	old, err := c.NextWriter(OpText)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(old, "first")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := c.NextWriter(OpText)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(next, "a half")
	if err := old.Close(); err != ErrFrameOrder {
		t.Errorf("Close of the old writer: %v", err)
	}
	if _, err := io.WriteString(old, "stray"); err != ErrFrameOrder {
		t.Errorf("Write of the old writer: %v", err)
	}
	io.WriteString(next, ", a whole")
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if got, want := unframe(Server, s.out), "text first; text a half, a whole"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// What is sent beside an open writer may be a message before its first fragment, and control
// frames after; nothing else gets into its message, or ends it.
func TestOthersCanNotSendInsideOfAWritersMessage(t *testing.T) {
	big := strings.Repeat("b", fragmentSize)
	for _, compression := range []Compression{{}, takeover} {
		c, s := newCompressing(Server, compression, Limits{})
		w, _ := c.NextWriter(OpText)
		io.WriteString(w, "small")
		if err := c.SendText([]byte("whole")); err != nil {
			t.Errorf("before a fragment: %v", err)
		}
		io.WriteString(w, big)
		io.WriteString(w, "x")
		for name, send := range map[string]func() error{
			"a message":      func() error { return c.SendText(nil) },
			"a prepared one": func() error { return c.SendPrepared(prepared(t, OpText, "x")) },
			"a part":         func() error { return c.SendFrame(OpContinuation, false, []byte("stray")) },
			"the end":        func() error { return c.SendFrame(OpContinuation, true, nil) },
			"TrySend":        func() error { return c.TrySend(OpContinuation, nil) },
			"a lent end": func() error {
				sb, _ := c.Reserve(0)
				return sb.SendFrame(OpContinuation, true, 0)
			},
			"another writer": func() error { _, err := c.NextWriter(OpText); return err },
		} {
			if err := send(); err != ErrFrameOrder {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.SendPing(nil); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		got := receivedBy(t, Client, compression, s.out)
		if len(got) != 2 || got[0] != "whole" || got[1] != "small"+big+"x" {
			t.Errorf("%d messages came, or others", len(got))
		}
	}
}

func TestAMessageThatFailedInTheMiddleLetsTheConnectionEndAndSayWhy(t *testing.T) {
	big := strings.Repeat("b", fragmentSize)
	for _, pushed := range []bool{false, true} {
		c, s := newScripted(Server, Limits{})
		if pushed {
			c.SetHandler(&recorder{})
		}
		w, _ := c.NextWriter(OpText)
		io.WriteString(w, big)
		if _, err := io.WriteString(w, big+"\xff"); err != ErrInvalidUTF8 {
			t.Fatal(err)
		}
		if err := w.Close(); err != ErrInvalidUTF8 {
			t.Errorf("Close of the writer: %v", err)
		}
		for name, send := range map[string]func() error{
			"SendText":      func() error { return c.SendText(nil) },
			"the rest":      func() error { return c.SendFrame(OpContinuation, true, nil) },
			"a next writer": func() error { _, err := c.NextWriter(OpBinary); return err },
		} {
			if err := send(); !errors.Is(err, ErrFrameOrder) || !errors.Is(err, ErrInvalidUTF8) {
				t.Errorf("%s doesn't say why: %v", name, err)
			}
		}
		if err := c.SendPing([]byte("p")); err != nil {
			t.Errorf("ping: %v", err)
		}
		if err := c.CloseWith(CloseInternalError, "half a message"); err != nil {
			t.Errorf("CloseWith: %v", err)
		}
		want := "text+ " + big + "; ping p; close " + closePayload(CloseInternalError, "half a message")
		if got := unframe(Server, s.out); got != want {
			t.Errorf("sent %.50q … %q", got, got[max(0, len(got)-50):])
		}
		if err := c.SendText(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("after CloseWith: %v", err)
		}
	}
}

// Close ends a connection also while a writer is open, and the writer says so.
func TestCloseWhileAWriterIsOpen(t *testing.T) {
	for _, part := range []string{"small", strings.Repeat("b", 2*fragmentSize)} {
		c, _ := newScripted(Client, Limits{})
		w, _ := c.NextWriter(OpBinary)
		io.WriteString(w, part)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := w.Write(make([]byte, 2*fragmentSize)); !errors.Is(err, ErrClosed) {
			t.Errorf("Write: %v", err)
		}
		if err := w.Close(); !errors.Is(err, ErrClosed) {
			t.Errorf("Close: %v", err)
		}
		if err := w.Close(); err != ErrFrameOrder {
			t.Errorf("second Close: %v", err)
		}
	}
}

// Copies of a SendBuffer are one loan: whoever is first uses it up.
func TestCopiesOfASendBufferAreUsedUpTogether(t *testing.T) {
	for name, use := range map[string]func(sb *SendBuffer){
		"sent":             func(sb *SendBuffer) { sb.SendBinary(3) },
		"failed to send":   func(sb *SendBuffer) { sb.SendBinary(4) },
		"released":         func(sb *SendBuffer) { sb.Release() },
		"sent by the copy": func(sb *SendBuffer) { again := *sb; again.SendBinary(1) },
	} {
		c, s := newScripted(Client, Limits{})
		sb, _ := c.Reserve(3)
		kept := sb
		use(&sb)
		was := len(s.out)
		other, _ := NewConn(&script{}, Client, Options{}).Reserve(3) // may get the same memory
		copy(other.Bytes(), "abc")
		if kept.Bytes() != nil {
			t.Errorf("%s: a copy still shows the memory", name)
		}
		kept.Release()
		if err := kept.SendBinary(1); err != ErrSendBuffer || len(s.out) != was {
			t.Errorf("%s: a copy sends: %v", name, err)
		}
		if string(other.Bytes()) != "abc" {
			t.Errorf("%s: another's memory is %q", name, other.Bytes())
		}
		another, _ := c.Reserve(3)
		if &another.Bytes()[0] == &other.Bytes()[0] {
			t.Errorf("%s: two have the same memory", name)
		}
	}
}

func TestCopiesOfASendBufferInManyGoroutines(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	for range 200 {
		sb, err := c.Reserve(1)
		if err != nil {
			t.Fatal(err)
		}
		sb.Bytes()[0] = 'x'
		var running sync.WaitGroup
		var mu sync.Mutex
		sent := 0
		for range 4 {
			kept := sb
			running.Go(func() {
				if kept.SendBinary(1) == nil {
					mu.Lock()
					sent++
					mu.Unlock()
				}
			})
		}
		running.Wait()
		if sent != 1 {
			t.Fatalf("sent %d times", sent)
		}
	}
	if got, want := unframe(Client, s.out), strings.TrimSuffix(strings.Repeat("bin x; ", 200), "; "); got != want {
		t.Errorf("sent %.100q", got)
	}
}

func TestLentMemoryShowsNothingOfOthers(t *testing.T) {
	for _, n := range []int{1, 100, 5000, 100000, 5 << 20} {
		c, _ := newScripted(Client, Limits{})
		for range 5 {
			sb, err := c.Reserve(n)
			if err != nil {
				t.Fatal(err)
			}
			if b := sb.Bytes(); len(b) != n || cap(b) != n || len(bytes.Trim(b, "\x00")) > 0 {
				t.Fatalf("%d bytes lent with room for %d, %.20q", len(b), cap(b), bytes.Trim(b, "\x00"))
			}
			copy(sb.Bytes(), bytes.Repeat([]byte("s"), n))
			sb.SendBinary(n)
		}
	}
}

// What a Handler appends to its payload must not get into the frame behind it.
func TestAppendingToAPayloadDoesNotChangeTheNext(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		stream := frames(role, "text a; text+ b; cont c; text d; ping e; text f")
		c, s := newScripted(role, Limits{}, stream)
		r := &recorder{onData: func(_ *Conn, _ Header, payload []byte) { _ = append(payload, "overwritten"...) }}
		c.SetHandler(r)
		s.play()
		if got, want := strings.Join(r.events, "; "), "text a; text+ b; continuation c; text d; text f"; got != want {
			t.Errorf("%v: %q, want %q", role, got, want)
		}
		d := engine.NewDecoder(role, engine.Limits{})
		var got []string
		for src := frames(role, "text a; text+ b; cont c; ping e; text f"); ; {
			e, n, err := d.Next(src)
			if err != nil {
				t.Fatal(err)
			}
			if src = src[n:]; e.Kind == engine.EventNone {
				break
			}
			got = append(got, string(e.Payload))
			_ = append(e.Payload, "overwritten"...)
		}
		if got := strings.Join(got, ""); got != "abcef" {
			t.Errorf("%v: decoded %q", role, got)
		}
	}
}

func TestAReaderThatWasKeptReadsNothingOfOthers(t *testing.T) {
	stream := frames(Client, "text first; text second")
	t.Run("past the next NextReader", func(t *testing.T) {
		c, _ := newScripted(Client, Limits{}, stream)
		_, old, _ := c.NextReader()
		io.ReadFull(old, make([]byte, 2))
		_, next, err := c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := old.Read(make([]byte, 10)); n != 0 || err != ErrReadOrder {
			t.Errorf("the old one reads %d bytes, %v", n, err)
		}
		if b, err := io.ReadAll(next); string(b) != "second" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("at its end", func(t *testing.T) {
		c, _ := newScripted(Client, Limits{}, stream)
		_, old, _ := c.NextReader()
		io.ReadAll(old)
		c.NextReader()
		if n, err := old.Read(make([]byte, 10)); n != 0 || err != io.EOF {
			t.Errorf("the old one reads %d bytes, %v", n, err)
		}
	})
	t.Run("past SetHandler", func(t *testing.T) {
		c, s := newScripted(Client, Limits{}, stream)
		_, old, _ := c.NextReader()
		io.ReadFull(old, make([]byte, 2))
		c.SetHandler(&recorder{})
		s.play()
		for range 3 { // one of them gets what c has borrowed
			other, _ := newScripted(Client, Limits{}, frames(Client, "text secret"))
			other.NextReader()
			if n, err := old.Read(make([]byte, 10)); n != 0 || err != ErrHandler {
				t.Fatalf("the old one reads %d bytes, %v", n, err)
			}
		}
	})
}

// The payload of a message goes to one reader, or the other calls say that it can't be right.
func TestReceivingCallsMixed(t *testing.T) {
	const stream = "text Hello; text+ wo; cont rld; text end"
	recv := func(c *Conn, n int) (string, error) { // n bytes, or a header if that is 0
		buf := make([]byte, n)
		for got := 0; ; {
			h, n, err := c.Recv(buf[got:])
			if got += n; err != nil || h.Opcode != OpNone && got == len(buf) {
				return string(buf[:got]), err
			}
		}
	}
	message := func(c *Conn) (string, error) { _, m, err := c.RecvMessage(nil); return string(m), err }
	reader := func(t *testing.T, c *Conn) io.Reader {
		t.Helper()
		_, r, err := c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	want := func(t *testing.T, what, got string, err error, want string, wantErr error) {
		t.Helper()
		if got != want || err != wantErr {
			t.Errorf("%s: %q, %v; want %q, %v", what, got, err, want, wantErr)
		}
	}
	for cut, chunks := range map[string][][]byte{"whole": {frames(Client, stream)}, "cut": everyByte(frames(Client, stream))} {
		run := func(name string, f func(t *testing.T, c *Conn)) {
			t.Run(cut+"/"+name, func(t *testing.T) {
				var copied [][]byte
				for _, chunk := range chunks {
					copied = append(copied, clone(chunk))
				}
				c, _ := newScripted(Client, Limits{}, copied...)
				f(t, c)
			})
		}
		run("others while a reader has its message", func(t *testing.T, c *Conn) {
			r := reader(t, c)
			io.ReadFull(r, make([]byte, 2))
			got, err := message(c)
			want(t, "RecvMessage", got, err, "", ErrReadOrder)
			got, err = recv(c, 10)
			want(t, "Recv", got, err, "", ErrReadOrder)
			_, _, err = c.RecvTimeout(make([]byte, 10), time.Second)
			want(t, "RecvTimeout", "", err, "", ErrReadOrder)
			_, err = c.NetConn(OpText).Read(make([]byte, 10))
			want(t, "NetConn", "", err, "", ErrReadOrder)
			rest, err := io.ReadAll(r)
			want(t, "the reader", string(rest), err, "llo", nil)
			got, err = message(c)
			want(t, "RecvMessage", got, err, "world", nil)
		})
		run("RecvMessage after all payload was read", func(t *testing.T, c *Conn) {
			io.ReadFull(reader(t, c), make([]byte, len("Hello")))
			got, err := message(c)
			want(t, "RecvMessage", got, err, "world", nil)
		})
		run("NextReader after a part by Recv", func(t *testing.T, c *Conn) {
			recv(c, 5)
			recv(c, 1)
			got, err := io.ReadAll(reader(t, c))
			want(t, "the reader", string(got), err, "end", nil)
		})
		run("NextReader after a header by Recv", func(t *testing.T, c *Conn) {
			recv(c, 0)
			got, err := io.ReadAll(reader(t, c))
			want(t, "the reader", string(got), err, "Hello", nil)
		})
		run("RecvMessage after a part by Recv", func(t *testing.T, c *Conn) {
			part, _ := recv(c, 1)
			got, err := message(c)
			want(t, "the parts", part+got, err, "Hello", nil)
		})
		run("a Handler of Messages after a part by Recv", func(t *testing.T, c *Conn) {
			recv(c, 1)
			var got []string
			c.SetHandler(Messages(func(_ *Conn, _ Opcode, msg []byte) { got = append(got, string(msg)) }, nil))
			c.batch.t.(*script).play()
			want(t, "whole messages", strings.Join(got, " "), nil, "world end", nil)
		})
		run("a Handler of Messages after a header by Recv", func(t *testing.T, c *Conn) {
			recv(c, 0)
			var got []string
			c.SetHandler(Messages(func(_ *Conn, _ Opcode, msg []byte) { got = append(got, string(msg)) }, nil))
			c.batch.t.(*script).play()
			want(t, "whole messages", strings.Join(got, " "), nil, "Hello world end", nil)
		})
	}
}

func TestReceivesAfterTheEndOfOursReturnTheEnd(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"Close": func(c *Conn) { c.Close() },
		"Abort": func(c *Conn) { c.Abort(nil) },
	} {
		c, _ := newScripted(Client, Limits{}, frames(Client, "text a; text b; text c; bin "+strings.Repeat("d", 10000)))
		_, r, err := c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		end(c)
		buf := make([]byte, 100)
		for call, receive := range map[string]func() (int, error){
			"Recv":        func() (int, error) { _, n, err := c.Recv(buf); return n, err },
			"RecvTimeout": func() (int, error) { _, n, err := c.RecvTimeout(buf, time.Second); return n, err },
			"RecvMessage": func() (int, error) { _, m, err := c.RecvMessage(buf[:0]); return len(m), err },
			"NextReader":  func() (int, error) { _, _, err := c.NextReader(); return 0, err },
			"Read":        func() (int, error) { return r.Read(buf) },
			"NetConn":     func() (int, error) { return c.NetConn(OpText).Read(buf) },
		} {
			n, err := receive()
			var closed *CloseError
			if n != 0 || !errors.As(err, &closed) || !closed.Local || !errors.Is(err, ErrClosed) {
				t.Errorf("%s after %s: %d bytes, %v", call, name, n, err)
			}
		}
	}
}

func TestSetHandlerIsRefusedOnceTheConnectionEnds(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"Close": func(c *Conn) { c.Close() },
		"Abort": func(c *Conn) { c.Abort(nil) },
	} {
		c, s := newScripted(Client, Limits{}, frames(Client, "text a"))
		end(c)
		var closed *CloseError
		if err := c.SetHandler(&recorder{}); !errors.As(err, &closed) || !closed.Local || s.receiver != nil {
			t.Errorf("after %s: %v, pushed %v", name, err, s.receiver != nil)
		}
	}
}

// A closing transport lets Linger wait until the test says so.
type lingeringTransport struct {
	script
	lingers, end chan struct{}
}

func (c *lingeringTransport) Linger(time.Duration) error {
	close(c.lingers)
	<-c.end
	return nil
}

func TestSetHandlerIsRefusedWhileCloseLingers(t *testing.T) {
	s := &lingeringTransport{lingers: make(chan struct{}), end: make(chan struct{})}
	c := NewConn(s, Client, Options{})
	ended := make(chan error)
	go func() { ended <- c.Close() }()
	<-s.lingers
	if err := c.SetHandler(&recorder{}); !errors.Is(err, ErrClosed) || s.receiver != nil {
		t.Errorf("%v, pushed %v", err, s.receiver != nil)
	}
	close(s.end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A pushless transport can't push, though it has the method.
type pushless struct{ script }

var errPushless = errors.New("no room for another descriptor")

func (p *pushless) Push(transport.Receiver) error { return errPushless }

func TestAFailedPushLeavesAConnThatCloseCloses(t *testing.T) {
	s := &pushless{script{chunks: [][]byte{frames(Client, "text a")}}}
	c := NewConn(s, Client, Options{})
	if err := c.SetHandler(&recorder{}); err != errPushless {
		t.Fatal(err)
	}
	if _, m, err := c.RecvMessage(nil); string(m) != "a" || err != nil {
		t.Errorf("pulled %q, %v", m, err)
	}
	if err := c.Close(); err != nil || !s.lingered && !s.closed {
		t.Errorf("Close: %v; the transport lingered: %v, closed: %v", err, s.lingered, s.closed)
	}
}

// Nobody else can send a part of a writer's message, not even while its first fragment is being
// written.
func TestOthersCanNotSendInsideOfAMessageWhoseFirstFragmentIsBeingWritten(t *testing.T) {
	s := &slow{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
	c := NewConn(s, Server, Options{})
	w, err := c.NextWriter(OpBinary)
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("b", fragmentSize+1)
	ended := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w, big)
		ended <- errors.Join(err, w.Close())
	}()
	<-s.begun
	stray := make(chan error, 1)
	go func() { stray <- c.SendFrame(OpContinuation, true, []byte("stray")) }()
	select {
	case err := <-stray:
		if err != ErrFrameOrder {
			t.Errorf("a part that another sends: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a part that another sends was accepted")
	}
	close(s.free)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := unframe(Server, s.out); got != "bin+ "+big+"; cont" {
		t.Errorf("sent %.50q … %q", got, got[max(0, len(got)-50):])
	}
}
