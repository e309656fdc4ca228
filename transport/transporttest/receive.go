package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

func (s Suite) testEchoOfEverySize(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{})
		echoed := make(chan error, 1)
		go func() { echoed <- echo(server) }()
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			want := bytes.Repeat([]byte("e"), size)
			sent := make(chan error, 1)
			go func() { sent <- client.SendBinary(want) }()
			op, got, err := client.RecvMessage(nil)
			if op != websock.OpBinary || !bytes.Equal(got, want) || err != nil {
				t.Fatalf("%d bytes: %v, %d bytes, %v", size, op, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
		if err := client.CloseWith(4003, "done"); err != nil {
			t.Error(err)
		}
		var closed *websock.CloseError
		if err := <-echoed; !errors.As(err, &closed) || closed.Code != 4003 || closed.Reason != "done" {
			t.Errorf("server: %v", err)
		}
	})
}

func (s Suite) testNoTimeoutLosesAByteOfAStreamThatDrips(t *testing.T) {
	messages := []string{"", "a", strings.Repeat("b", 130), "end"}
	for _, size := range []int{1, 2, 7, 4096} {
		t.Run(fmt.Sprintf("buffer of %d", size), func(t *testing.T) {
			t.Parallel()
			client, server := s.sockets(t, "tcp")
			want := messages
			var stream []byte
			for _, w := range want {
				stream = engine.AppendHeader(stream, websock.Header{Fin: true, Opcode: websock.OpText, Length: int64(len(w))})
				stream = append(stream, w...)
			}
			go func() {
				for i := range stream {
					server.Write(stream[i : i+1])
					time.Sleep(2 * time.Millisecond)
				}
			}()
			c := s.conn(t, client, websock.Client, websock.Limits{})
			buf := make([]byte, size)
			var msg []byte
			timeouts := 0
			for len(want) > 0 {
				h, n, err := c.RecvTimeout(buf, time.Millisecond)
				msg = append(msg, buf[:n]...)
				switch {
				case errors.Is(err, websock.ErrTimeout):
					timeouts++
				case err != nil:
					t.Fatal(err)
				case h.Opcode != websock.OpNone && h.Fin && h.Remaining == 0:
					if string(msg) != want[0] {
						t.Fatalf("%q, want %q", msg, want[0])
					}
					want, msg = want[1:], msg[:0]
				}
			}
			if timeouts == 0 {
				t.Error("there was no timeout")
			}
		})
	}
}

func (s Suite) testRecvTimeoutOfZeroTakesWhatIsHere(t *testing.T) {
	if s.BlindPoll {
		t.Skip("this transport can't ask without waiting")
	}
	for _, network := range []string{"tcp", "unix"} {
		client, server := s.sockets(t, network)
		c := s.conn(t, client, websock.Client, websock.Limits{})
		large := bytes.Repeat([]byte("x"), 10000)
		stream := append(engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary, Length: 10000}), large...)
		buf := make([]byte, 10000)
		poll := func(d time.Duration) (h websock.Header, n int, err error) {
			for range 1000 { // loopback takes a moment
				if h, n, err = c.RecvTimeout(buf, d); !errors.Is(err, websock.ErrTimeout) {
					break
				}
				time.Sleep(time.Millisecond)
			}
			return h, n, err
		}
		server.Write(stream[:4])
		if h, _, err := poll(0); h.Length != 10000 || err != nil {
			t.Fatalf("%s: header: %+v, %v", network, h, err)
		}
		server.Write(stream[4:])
		if _, n, err := poll(-1); n == 0 || err != nil {
			t.Errorf("%s: payload: %d, %v", network, n, err)
		}
	}
}

func (s Suite) testEarlyBytesAreReceivedFirst(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		stream := []byte("\x81\x05Hello\x81\x05World")
		for cut := range stream {
			client, server := s.sockets(t, network)
			c := websock.NewConn(s.attach(t, client, bytes.Clone(stream[:cut])), websock.Client, websock.Options{})
			go server.Write(stream[cut:])
			for _, want := range []string{"Hello", "World"} {
				if _, msg, err := c.RecvMessage(nil); string(msg) != want || err != nil {
					t.Fatalf("cut at %d: %q, %v", cut, msg, err)
				}
			}
		}
	})
}

// echo sends back every message until the connection ends.
func echo(c *websock.Conn) error {
	var msg []byte
	for {
		op, m, err := c.RecvMessage(msg[:0])
		if err != nil {
			return errors.Join(err, c.Close())
		}
		msg = m
		if err := c.SendFrame(op, true, m); err != nil {
			return errors.Join(err, c.Close())
		}
	}
}
