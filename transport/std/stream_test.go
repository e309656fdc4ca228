package std_test

import (
	"bufio"
	"net"
	"sync/atomic"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

// A bufferedStream is a std.Stream over a net.Conn. It counts calls.
type bufferedStream struct {
	net.Conn
	r         *bufio.Reader
	waits     atomic.Int32
	tryWrites atomic.Int32
	writes    atomic.Int32
}

func (s *bufferedStream) Read(p []byte) (int, error) { return s.r.Read(p) }

func (s *bufferedStream) Write(p []byte) (int, error) {
	s.writes.Add(1)
	return s.Conn.Write(p)
}

func (s *bufferedStream) WaitRead() error {
	s.waits.Add(1)
	_, err := s.r.Peek(1)
	return err
}

// TryWrite takes the first byte.
func (s *bufferedStream) TryWrite(p []byte) (int, error) {
	s.tryWrites.Add(1)
	return s.Conn.Write(p[:1])
}

func (s *bufferedStream) CloseAtOnce() {}

func TestAStreamIsWaitedForAndWrittenToFirst(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		near, far := net.Pipe()
		st := &bufferedStream{Conn: near, r: bufio.NewReader(near)}
		c := websock.NewConn(std.New(st, nil), websock.Server, websock.Options{})
		received := make(chan string, 2)
		if pushed {
			c.SetHandler(websock.Messages(func(_ *websock.Conn, _ websock.Opcode, p []byte) { received <- string(p) }, nil))
		} else {
			go func() {
				for range 2 {
					_, p, _ := c.RecvMessage(nil)
					received <- string(p)
				}
			}()
		}
		for range 2 {
			far.Write([]byte("\x81\x85\x00\x00\x00\x00hello"))
			if got := <-received; got != "hello" {
				t.Errorf("received %q", got)
			}
		}
		if st.waits.Load() == 0 {
			t.Error("it was read without a wait")
		}
		got := make(chan string)
		go func() {
			b := make([]byte, 7)
			for n := 0; n < len(b); {
				m, _ := far.Read(b[n:])
				n += m
			}
			got <- string(b)
		}()
		if err := c.TrySend(websock.OpText, []byte("hello")); err != nil {
			t.Error(err)
		}
		if b := <-got; b != "\x81\x05hello" || st.tryWrites.Load() != 1 || st.writes.Load() != 1 {
			t.Errorf("sent %q by %d calls of TryWrite and %d of Write", b, st.tryWrites.Load(), st.writes.Load())
		}
		c.Abort(nil)
		far.Close()
	}
}
