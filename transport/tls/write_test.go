package tls

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/race"
)

func TestWritevIsOneInnerWrite(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		client, server := connect(t, version)
		c, m := move(t, client, nil)
		for _, sizes := range [][]int{{1}, {100}, {10, 5000}, {128<<10 + 14}, {14, 128 << 10}, {0, 3, 0}} {
			var bufs [][]byte
			var want []byte
			for _, size := range sizes {
				bufs = append(bufs, plaintext(size))
				want = append(want, plaintext(size)...)
			}
			before := m.writeCalls()
			if err := c.Writev(bufs...); err != nil {
				t.Fatal(err)
			}
			if n := m.writeCalls() - before; n != 1 {
				t.Errorf("%v bytes were written in %d writes, want 1", sizes, n)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(server, got); !bytes.Equal(got, want) || err != nil {
				t.Errorf("%v bytes: the peer received others, or %v", sizes, err)
			}
			if c.wire.out.pending != nil {
				t.Error("a buffer is held after a write")
			}
		}
	})
}

// Records take 16 KiB. Small elements share them, and large ones fill them.
func TestWritevFillsRecords(t *testing.T) {
	const full = maxPlaintext
	tests := []struct {
		sizes   []int
		records int
	}{
		{[]int{9, 100}, 1},
		{[]int{9, 100, 9, 5, 0, 9, 3000}, 1},
		{[]int{0, full, 0}, 1},
		{[]int{full, full}, 2},
		{[]int{9, full - 9}, 1},
		{[]int{9, full - 8}, 2},
		{[]int{14, 8 * full}, 9},
		{[]int{14, 8*full + 100}, 9},
		{[]int{9, full, 9, full, 9, full}, 4},
		{[]int{9, 3 * full, 9, 100}, 4},
		{[]int{3*full + 1, 1, 1}, 4},
		{[]int{100, 15 * full, 100}, 16},
	}
	eachVersion(t, func(t *testing.T, version uint16) {
		client, server := connect(t, version)
		c, m := move(t, client, nil)
		c.Writev(make([]byte, 1<<20)) // records grow to their full size
		io.CopyN(io.Discard, server, 1<<20)
		for _, test := range tests {
			var bufs [][]byte
			var want []byte
			for _, size := range test.sizes {
				bufs = append(bufs, plaintext(size))
				want = append(want, plaintext(size)...)
			}
			if err := c.Writev(bufs...); err != nil {
				t.Fatal(err)
			}
			if n := m.out.records(); n != test.records {
				t.Errorf("%v bytes take %d records, want %d", test.sizes, n, test.records)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(server, got); !bytes.Equal(got, want) || err != nil {
				t.Errorf("%v bytes: the peer received others, or %v", test.sizes, err)
			}
		}
	})
}

func TestWritevAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	client, _ := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	bufs := [][]byte{plaintext(9), plaintext(100), plaintext(20 << 10), plaintext(9)}
	allocs := testing.AllocsPerRun(200, func() {
		c.Writev(bufs...)
		m.out.data = m.out.data[:0]
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestEmptyWritevWritesNothing(t *testing.T) {
	client, _ := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	for _, bufs := range [][][]byte{nil, {nil}, {{}, {}}} {
		if err := c.Writev(bufs...); err != nil || m.writeCalls() != 0 {
			t.Errorf("%v: %d writes, %v", bufs, m.writeCalls(), err)
		}
	}
}

func TestLargeWritevIsSplitIntoBatches(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		client, server := connect(t, version)
		c, m := move(t, client, nil)
		want := plaintext(4 << 20)
		if err := c.Writev(want); err != nil {
			t.Fatal(err)
		}
		if n := m.writeCalls(); n < len(want)/maxRecords || n > len(want)/maxRecords*5/4 {
			t.Errorf("%d writes", n)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(server, got); !bytes.Equal(got, want) || err != nil {
			t.Error("the peer received other bytes, or", err)
		}
	})
}

func TestWritevToStalledPeerIsQueued(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	m.stall(true)
	want := plaintext(10_000)
	for i := range 100 {
		if err := c.Writev(want); err != nil {
			t.Fatal(err)
		}
		if c.Queued() < (i+1)*len(want) {
			t.Errorf("%d bytes queued after %d writes", c.Queued(), i+1)
		}
	}
	io.WriteString(server, "still heard")
	if view, err := c.View(); string(view) != "still heard" {
		t.Errorf("%q, %v", view, err)
	}
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(context.Background(), 0) }()
	m.stall(false)
	if err := <-drained; err != nil || c.Queued() != 0 {
		t.Errorf("%v, %d bytes queued", err, c.Queued())
	}
	got := make([]byte, len(want))
	for range 100 {
		if _, err := io.ReadFull(server, got); !bytes.Equal(got, want) || err != nil {
			t.Fatal("the peer received other bytes, or", err)
		}
	}
}

func TestWriteErrorIsFinal(t *testing.T) {
	for _, size := range []int{1, 1 << 20} {
		client, server := connect(t, tls.VersionTLS13)
		c, m := move(t, client, nil)
		c.Writev([]byte("before"))
		c.SetWriteDeadline(time.Now())
		if err := c.Writev(plaintext(size)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes: %v", size, err)
		}
		c.SetWriteDeadline(time.Time{})
		before := m.writeCalls()
		if err := c.Writev([]byte("after")); !errors.Is(err, os.ErrDeadlineExceeded) || m.writeCalls() != before {
			t.Errorf("afterwards: %d writes, %v", m.writeCalls()-before, err)
		}
		io.WriteString(server, "still heard")
		if view, err := c.View(); string(view) != "still heard" {
			t.Errorf("%q, %v", view, err)
		}
		c.Close()
		if got, err := io.ReadAll(server); string(got) != "before" || err != nil && err != io.ErrUnexpectedEOF {
			t.Errorf("the peer got %q, %v", got, err)
		}
	}
}

func TestWriteAfterClose(t *testing.T) {
	ends := map[string]func(c *Conn){
		"closed":                       func(c *Conn) { c.Close() },
		"our direction closed":         func(c *Conn) { c.CloseWrite() },
		"lingering":                    func(c *Conn) { c.Linger(0) },
		"inner transport closed":       func(c *Conn) { c.inner.Close() },
		"closed after having lingered": func(c *Conn) { c.Linger(0); c.Close() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			client, _ := connect(t, tls.VersionTLS13)
			c, _ := move(t, client, nil)
			end(c)
			for range 2 {
				if err := c.Writev([]byte("too late")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%v, want net.ErrClosed", err)
				}
			}
		})
	}
}
