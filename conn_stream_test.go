package websock

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestNextReaderReadsMessageByMessage(t *testing.T) {
	stream := frames(Client, "text+ Hel; ping ; cont+ ; cont lo; bin ; bin skipped; text+ half; cont skipped; bin end; close ")
	for _, chunks := range [][][]byte{{stream}, everyByte(stream)} {
		c, _ := newScripted(Client, Limits{}, chunks...)
		for i, want := range []struct {
			op   Opcode
			read int // bytes read before the next NextReader; -1: all
			msg  string
		}{{OpText, -1, "Hello"}, {OpBinary, -1, ""}, {OpBinary, 0, ""}, {OpText, 4, "half"}, {OpBinary, -1, "end"}} {
			op, r, err := c.NextReader()
			if op != want.op || err != nil {
				t.Fatalf("message %d: %v, %v", i, op, err)
			}
			if want.read >= 0 {
				r = io.LimitReader(r, int64(want.read))
			}
			if msg, err := io.ReadAll(r); string(msg) != want.msg || err != nil {
				t.Fatalf("message %d: %q, %v", i, msg, err)
			}
		}
		if _, _, err := c.NextReader(); !errors.As(err, new(*CloseError)) {
			t.Errorf("at the end: %v", err)
		}
	}
}

func TestNextReaderContinuesAfterATimeout(t *testing.T) {
	stream := frames(Client, "text Hello")
	c, _ := newScripted(Client, Limits{}, nil, stream[:4], nil, stream[4:])
	if _, _, err := c.NextReader(); err != ErrTimeout {
		t.Fatal(err)
	}
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	first, err := io.ReadAll(r)
	if string(first) != "He" || err != ErrTimeout {
		t.Fatalf("%q, %v", first, err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "llo" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestNextReaderReturnsHowTheConnectionEnded(t *testing.T) {
	for _, stream := range []string{"text+ cut off", "text cut off; text+ skipped"} {
		c, _ := newScripted(Client, Limits{}, frames(Client, stream))
		for err := error(nil); err == nil; {
			_, _, err = c.NextReader()
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %v", stream, err)
			}
		}
		if _, _, err := c.NextReader(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q, again: %v", stream, err)
		}
	}
}

func TestAReadOfNoBytesReceivesNothing(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "text Hello"))
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if msg, err := io.ReadAll(r); string(msg) != "Hello" || err != nil {
		t.Errorf("%q, %v", msg, err)
	}
}

func TestNetConnIsAStreamOfBytes(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "bin+ ab; cont c; text ; bin def; close "+closePayload(1001, "")))
	stream := c.NetConn(OpBinary)
	if n, err := stream.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if got, err := io.ReadAll(stream); string(got) != "abcdef" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if stream.LocalAddr().String() != "local" || stream.RemoteAddr().String() != "remote" {
		t.Error("addresses")
	}
	c, s := newScripted(Client, Limits{})
	stream = c.NetConn(OpText)
	for _, p := range []string{"one", "", "two"} {
		if n, err := io.WriteString(stream, p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if got := unframe(Client, s.out); !strings.HasPrefix(got, "text one; text two; close ") {
		t.Errorf("sent %q", got)
	}
	if _, err := stream.Write(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if _, err := c.NetConn(OpPing).Write(nil); err != ErrFrameOrder {
		t.Errorf("stream of pings: %v", err)
	}
}

func TestNetConnErrorsAreThoseOfTheConnection(t *testing.T) {
	c, s := newScripted(Client, Limits{}, nil, frames(Client, "close "+closePayload(4000, "")))
	stream := c.NetConn(OpBinary)
	buf := make([]byte, 1)
	if _, err := stream.Read(buf); err != ErrTimeout {
		t.Errorf("%v, want ErrTimeout", err)
	}
	deadline := time.Now().Add(time.Hour)
	if err := stream.SetReadDeadline(deadline); err != nil || !s.readDeadline.Equal(deadline) {
		t.Errorf("SetReadDeadline: %v, the transport has %v", err, s.readDeadline)
	}
	var closed *CloseError
	if _, err := stream.Read(buf); !errors.As(err, &closed) || closed.Code != 4000 {
		t.Errorf("%v, want close code 4000", err)
	}
}

// After a deadline calls fail without sending or receiving anything, and nothing is lost.
func TestNetConnContinuesAfterADeadline(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "bin a; bin b"))
	stream := c.NetConn(OpBinary)
	buf := make([]byte, 1)
	if n, err := stream.Read(buf); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := stream.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	if n, err := stream.Write(buf); n != 0 || err != ErrTimeout || len(s.out) > 0 {
		t.Errorf("Write: %d, %v", n, err)
	}
	if n, err := stream.Read(buf); n != 0 || err != ErrTimeout {
		t.Errorf("Read: %d, %v", n, err)
	}
	if err := stream.SetDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	if n, err := stream.Read(buf); n != 1 || buf[0] != 'b' || err != nil {
		t.Errorf("Read without the deadline: %d, %v", n, err)
	}
	if n, err := stream.Write(buf); n != 1 || err != nil || unframe(Client, s.out) != "bin b" {
		t.Errorf("Write without the deadline: %d, %v, %x", n, err, s.out)
	}
}

// The write deadline of a NetConn applies to each QueuePolicy.
func TestTheWriteDeadlineOfANetConnAppliesWithQueueRefuses(t *testing.T) {
	t.Run("passed", func(t *testing.T) {
		c, d := opened(Client, Limits{WhenFull: QueueRefuses})
		stream := c.NetConn(OpBinary)
		stream.SetWriteDeadline(time.Now().Add(-time.Second))
		if n, err := stream.Write([]byte("late")); n != 0 || err != ErrTimeout || d.Queued() > 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("passes", func(t *testing.T) {
		c := NewConn(newStuckTransport(t, 5), Client, Options{Limits: Limits{WhenFull: QueueRefuses, SendQueue: 100}})
		stream := c.NetConn(OpBinary)
		stream.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		wrote := make(chan error, 1)
		go func() {
			for {
				if _, err := stream.Write(make([]byte, 50)); err != nil {
					wrote <- err
					return
				}
			}
		}()
		select {
		case err := <-wrote:
			if err != ErrTimeout {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("Write waits beyond its deadline")
		}
		c.Abort(nil)
	})
}

func TestNextWriterSendsFragments(t *testing.T) {
	big := strings.Repeat("b", fragmentSize)
	tests := []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, "text"},
		{"small writes leave as one frame", []string{"He", "", "llo"}, "text Hello"},
		{"large write", []string{big + "x", "y"}, "text+ " + big + "x; cont y"},
		{"overflow", []string{"small", big, "end"}, "text+ small; cont+ " + big + "; cont end"},
		{"overflow by little", []string{big[:fragmentSize-1], "xyz"}, "text+ " + big[:fragmentSize-1] + "; cont xyz"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, s := newScripted(Server, Limits{})
			w, err := c.NextWriter(OpText)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.NextWriter(OpText); err != ErrFrameOrder {
				t.Errorf("second writer: %v", err)
			}
			for _, p := range test.writes {
				if n, err := io.WriteString(w, p); n != len(p) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := unframe(Server, s.out); got != test.want {
				t.Errorf("sent %.100q, want %.100q", got, test.want)
			}
			if err := w.Close(); err != ErrFrameOrder {
				t.Errorf("second Close: %v", err)
			}
			if _, err := w.Write(nil); err != ErrFrameOrder {
				t.Errorf("Write after Close: %v", err)
			}
			if _, err := c.NextWriter(OpBinary); err != nil {
				t.Errorf("next writer: %v", err)
			}
		})
	}
}

// The peer must not receive a part of a message as a whole one, nor a message that lacks a part.
func TestNextWriterDoesNotCompleteAMessageThatLacksAPart(t *testing.T) {
	big := strings.Repeat("b", fragmentSize)
	for name, test := range map[string]struct {
		writes []string
		sent   string // before Close
	}{
		"small, not sent before Close":   {[]string{"\xff"}, ""},
		"first of several":               {[]string{"\xff", big}, ""},
		"large":                          {[]string{"small", big + "\xff"}, "text+ small"},
		"followed by what would be good": {[]string{big, big + "\xff", "small"}, "text+ " + big},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newScripted(Server, Limits{})
			w, err := c.NextWriter(OpText)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range test.writes {
				io.WriteString(w, p)
			}
			if err := w.Close(); err != ErrInvalidUTF8 {
				t.Errorf("Close: %v", err)
			}
			if got := unframe(Server, s.out); got != test.sent {
				t.Errorf("sent %.100q, want %.100q", got, test.sent)
			}
			if err := c.SendText(nil); (err == nil) != (test.sent == "") {
				t.Errorf("next message: %v", err)
			}
		})
	}
}

func TestNextWriterContinuesWhenThereIsRoom(t *testing.T) {
	big := strings.Repeat("b", fragmentSize)
	for _, test := range []struct {
		when  string // the queue is full
		parts []string
		want  string
	}{
		{big, []string{"small", big, "end"}, "text+ small; cont+ " + big + "; cont end"},
		{"end", []string{big, "end"}, "text+ " + big + "; cont end"},
		{"Close", []string{big, "small"}, "text+ " + big + "; cont small"},
	} {
		s := &fullTransport{scriptTransport: &scriptTransport{}}
		c := NewConn(s, Server, Options{Limits: Limits{WhenFull: QueueRefuses, SendQueue: 100}})
		w, err := c.NextWriter(OpText)
		if err != nil {
			t.Fatal(err)
		}
		write := func(p string) error { _, err := io.WriteString(w, p); return err }
		for _, part := range test.parts {
			if part == test.when {
				s.queued = 1000
				if err := write(part); err != nil && !isLimit(err) {
					t.Fatal(err)
				} else if err == nil {
					continue // it was only gathered
				}
				s.queued = 0
			}
			if err := write(part); err != nil {
				t.Fatal(err)
			}
		}
		if test.when == "Close" {
			s.queued = 1000
		}
		if s.queued > 0 {
			if err := w.Close(); !isLimit(err) {
				t.Errorf("Close: %v", err)
			}
			s.queued = 0
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := unframe(Server, s.out); got != test.want {
			t.Errorf("sent %.100q, want %.100q", got, test.want)
		}
	}
}

// A closed writer must not change the next message.
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

// While a writer is open, others may send messages before its first fragment, and control frames
// after it; nothing else gets into its message, or ends it.
func TestOtherSendersCannotInterruptAWritersMessage(t *testing.T) {
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

func TestAfterAMessageFailedInTheMiddleTheConnectionCanBeClosed(t *testing.T) {
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

// Close ends the connection while a writer is open, and the writer then returns an error.
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

func TestAnOldReaderDoesNotReadLaterMessages(t *testing.T) {
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

// The payload of a message is returned by one reader only; other calls return an error.
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
			c.batch.t.(*scriptTransport).play()
			want(t, "whole messages", strings.Join(got, " "), nil, "world end", nil)
		})
		run("a Handler of Messages after a header by Recv", func(t *testing.T, c *Conn) {
			recv(c, 0)
			var got []string
			c.SetHandler(Messages(func(_ *Conn, _ Opcode, msg []byte) { got = append(got, string(msg)) }, nil))
			c.batch.t.(*scriptTransport).play()
			want(t, "whole messages", strings.Join(got, " "), nil, "Hello world end", nil)
		})
	}
}

// Other senders can't send a part of a writer's message, not even during the write of its first
// fragment.
func TestOtherSendersCannotInterruptAMessageDuringItsFirstFragment(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
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
	case <-time.After(time.Minute):
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

func TestAMessageWriterContinuesAfterALimitError(t *testing.T) {
	parts := []string{strings.Repeat("a", 3000), strings.Repeat("b", fragmentSize), strings.Repeat("c", 70000), "d"}
	c, d := opened(Client, Limits{SendQueue: 1000, WhenFull: QueueRefuses})
	refused := 0
	again := func(call func() error) {
		t.Helper()
		err := call()
		for ; isFull(err, 1000); err = call() {
			refused++
			d.let(d.Queued())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func() {
		for c.SendPing(bytes.Repeat([]byte("p"), 125)) == nil {
		}
	}
	w, err := c.NextWriter(OpText)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		fill()
		again(func() error {
			n, err := io.WriteString(w, part)
			if err == nil && n != len(part) || err != nil && n != 0 {
				t.Errorf("%d of %d bytes were taken, %v", n, len(part), err)
			}
			return err
		})
	}
	fill()
	again(w.Close)
	again(func() error { return c.SendText([]byte("next")) })
	d.let(d.Queued())
	var got strings.Builder
	for _, f := range strings.Split(unframe(Client, d.out), "; ") {
		switch name, payload, _ := strings.Cut(f, " "); {
		case name == "ping":
		case name == "text+" && got.Len() == 0, name == "cont+", name == "cont":
			got.WriteString(payload)
		case f != "text next":
			t.Fatalf("sent %.50q after %d bytes", f, got.Len())
		}
	}
	if want := strings.Join(parts, ""); got.String() != want || refused < 4 {
		t.Errorf("%d bytes of %d were sent, %d refused", got.Len(), len(want), refused)
	}
}

func TestAMessageWithoutSentFragmentsIsDropped(t *testing.T) {
	c, d := opened(Client, Limits{SendQueue: 100, WhenFull: QueueRefuses})
	c.SendBinary(make([]byte, 100))
	w, _ := c.NextWriter(OpText)
	io.WriteString(w, "refused")
	if err := w.Close(); !isFull(err, 100) {
		t.Fatal(err)
	}
	d.let(d.Queued())
	d.out = nil
	if w, err := c.NextWriter(OpText); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	d.let(d.Queued())
	if got := unframe(Client, d.out); got != "text" {
		t.Errorf("sent %q", got)
	}
}
