package tls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// readAll calls View and Read alternately until the end of the stream, and counts timeouts.
func readAll(c *Conn) (received []byte, deadlines int, err error) {
	direct := make([]byte, 1000)
	for turn := 0; ; turn++ {
		var view []byte
		if turn%2 == 0 {
			view, err = c.View()
			received = append(received, view...)
			c.Consume(len(view))
		} else {
			var n int
			n, err = c.Read(direct)
			received = append(received, direct[:n]...)
			if n > 0 && err != nil {
				return received, deadlines, fmt.Errorf("%d bytes come with %w", n, err)
			}
		}
		switch {
		case err == os.ErrDeadlineExceeded:
			deadlines++
		case err != nil:
			return received, deadlines, err
		}
	}
}

// eachWay receives all plaintext of a connection in three ways: with View and Read, with these while
// every second read of the inner transport times out, and with a Receiver.
func eachWay(t *testing.T, connect func(t *testing.T) *Conn, check func(t *testing.T, received []byte, err error)) {
	for _, timeouts := range []bool{false, true} {
		t.Run(fmt.Sprintf("pulled, timeouts %v", timeouts), func(t *testing.T) {
			c := connect(t)
			c.inner.(*fakeTransport).timeouts = timeouts
			received, deadlines, err := readAll(c)
			if timeouts && deadlines == 0 {
				t.Error("no read timed out")
			}
			check(t, received, err)
		})
	}
	t.Run("pushed", func(t *testing.T) {
		d := newDrainReceiver(connect(t))
		if err := d.c.Push(d); err != nil {
			t.Fatal(err)
		}
		err := <-d.ended
		check(t, d.received, err)
	})
}

func TestRecordsSplitAndJoined(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		for _, maxRead := range []int{1, 2, 7, 100, 0} {
			sizes := []int{1, 2, 300, 1, 1, 5000}
			var want []byte
			eachWay(t, func(t *testing.T) *Conn {
				client, server := connect(t, version)
				c, m := move(t, client, nil)
				m.maxRead = maxRead
				want = nil
				for _, size := range sizes {
					server.Write(plaintext(size))
					want = append(want, plaintext(size)...)
				}
				server.Close()
				return c
			}, func(t *testing.T, got []byte, err error) {
				if !bytes.Equal(got, want) || err != io.EOF {
					t.Errorf("reads of %d bytes: %d bytes and %v, want %d and EOF", maxRead, len(got), err, len(want))
				}
			})
		}
	})
}

func TestEarlyBytesAreReadFirst(t *testing.T) {
	const want = "buffered in the tls.Conn, then a record that is not"
	eachWay(t, func(t *testing.T) *Conn {
		client, server := connect(t, tls.VersionTLS13)
		io.WriteString(server, want[:20])
		early := make([]byte, 8)
		io.ReadFull(client, early)
		c, _ := move(t, client, early)
		io.WriteString(server, want[20:])
		server.Close()
		return c
	}, func(t *testing.T, got []byte, err error) {
		if string(got) != want || err != io.EOF {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestEOFRequiresCloseNotify(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		const text = "text"
		for cut := 0; ; cut++ {
			client, server := connect(t, version)
			c, m := move(t, client, nil)
			m.maxRead = 1
			io.WriteString(server, text)
			received := len(m.in.data)
			server.CloseWrite()
			records := m.in.take()
			m.in.write(records[:cut])
			m.in.end(io.EOF)
			got, _, err := readAll(c)
			want := io.ErrUnexpectedEOF
			if cut == len(records) {
				want = io.EOF
			}
			if err != want || cut >= received && string(got) != text {
				t.Errorf("cut at %d of %d: %q, %v", cut, len(records), got, err)
			}
			if _, again := c.View(); again != err {
				t.Errorf("afterwards: %v", again)
			}
			if cut == len(records) {
				break
			}
		}
	})
}

func TestForgedRecordEndsConnection(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		eachWay(t, func(t *testing.T) *Conn {
			client, server := connect(t, version)
			c, m := move(t, client, nil)
			io.WriteString(server, "real")
			records := m.in.take()
			forged := bytes.Clone(records)
			forged[len(forged)-1] ^= 1
			m.in.write(records)
			m.in.write(forged)
			return c
		}, func(t *testing.T, got []byte, err error) {
			var alert *net.OpError
			if string(got) != "real" || !errors.As(err, &alert) || alert.Op != "local error" {
				t.Errorf("%q, %v", got, err)
			}
		})
	})
}

func TestLostConnectionIsReported(t *testing.T) {
	lost := errors.New("lost")
	eachWay(t, func(t *testing.T) *Conn {
		client, server := connect(t, tls.VersionTLS13)
		c, m := move(t, client, nil)
		io.WriteString(server, "text")
		m.in.end(lost)
		return c
	}, func(t *testing.T, got []byte, err error) {
		if string(got) != "text" || !errors.Is(err, lost) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestReadDeadlineInsideRecord(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	io.WriteString(server, "text")
	records := m.in.take()
	half := len(records) / 2
	m.in.write(records[:half])
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	for range 2 {
		if _, err := c.View(); err != os.ErrDeadlineExceeded {
			t.Fatal(err)
		}
	}
	c.SetReadDeadline(time.Time{})
	m.in.write(records[half:])
	if view, err := c.View(); string(view) != "text" || err != nil {
		t.Errorf("%q, %v", view, err)
	}
}

func TestReadDeadlineEndsReceiver(t *testing.T) {
	client, _ := connect(t, tls.VersionTLS13)
	c, _ := move(t, client, nil)
	d := newDrainReceiver(c)
	c.Push(d)
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if err := <-d.ended; err != os.ErrDeadlineExceeded {
		t.Error(err)
	}
}

func TestPauseKeepsUnconsumedBytes(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, _ := move(t, client, nil)
	p := &pausingReceiver{drainReceiver: *newDrainReceiver(c), paused: make(chan int)}
	if err := c.Push(p); err != nil {
		t.Fatal(err)
	}
	want := plaintext(3000)
	for i := 0; i < len(want); i += 100 {
		server.Write(want[i : i+100])
	}
	server.Close()
	for n := range want[:len(want)/10] {
		if got := <-p.paused; got != 10*(n+1) {
			t.Fatalf("%d bytes at pause %d", got, n)
		}
		c.Resume()
	}
	if err := <-p.ended; !bytes.Equal(p.received, want) || err != io.EOF {
		t.Errorf("%d bytes, %v", len(p.received), err)
	}
}
