package tls

import (
	"crypto/tls"
	"os"
	"testing"
	"time"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/race"
)

func TestWhatIsAddedToATLSConnIsSmall(t *testing.T) {
	const most = 112
	for name, size := range map[string]uintptr{"Conn": unsafe.Sizeof(Conn{}), "wire": unsafe.Sizeof(wire{})} {
		if size > most {
			t.Errorf("a %s takes %d bytes, want at most %d", name, size, most)
		}
		t.Logf("%s: %d bytes", name, size)
	}
}

func TestNoBufferIsHeldWhileIdle(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, _ := move(t, client, nil)
	check := func(when string) {
		t.Helper()
		if c.view != nil || c.viewBuf != nil || c.wire.out.pending != nil {
			t.Errorf("a buffer is held %s", when)
		}
	}
	server.Write(plaintext(100))
	for range 2 {
		view, err := c.View()
		if err != nil {
			t.Fatal(err)
		}
		c.Consume(len(view) - 50)
		if len(view) == 50 {
			c.Consume(50)
			break
		}
	}
	check("after the last byte")
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.View(); err != os.ErrDeadlineExceeded {
		t.Fatal(err)
	}
	check("after a wait")
	c.Writev(plaintext(100))
	check("after a write")
}

// feed returns a function that makes the next of n records arrive on m, as a loop does.
func feed(m *memory, server *tls.Conn, message []byte, n int) func() {
	m.receiver = &drain{}
	m.view = m.in.take()
	var records [][]byte
	for range n {
		server.Write(message)
		records = append(records, m.in.take())
	}
	return func() { m.view, records = records[0], records[1:] }
}

func TestNothingIsAllocatedBesidesWhatCryptoTLSDoes(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	const messages = 1000
	eachVersion(t, func(t *testing.T, version uint16) {
		message, into := plaintext(1000), make([]byte, 2000)
		client, server := connect(t, version)
		c, m := move(t, client, nil)
		arrive := feed(m, server, message, 2*messages+2)
		standard := testing.AllocsPerRun(messages, func() {
			arrive()
			for n := 1; n > 0; {
				n, _ = client.Read(into)
			}
		})
		reading := testing.AllocsPerRun(messages, func() {
			arrive()
			for {
				view, err := c.View()
				if err != nil {
					break
				}
				c.Consume(len(view))
			}
		})
		m.out.data = make([]byte, 0, 2*messages*len(message))
		writing := testing.AllocsPerRun(messages, func() { c.Writev(message, message[:10]) })
		t.Logf("a message read: %v, by a tls.Conn alone %v; written: %v", reading, standard, writing)
		if reading > standard || writing > 0 {
			t.Error("too many")
		}
	})
}
