package transporttest

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
)

func (s Suite) testManySendersOneReceiver(t *testing.T) {
	const senders, messages = 64, 50
	client, server := s.pair(t, "tcp", websock.Limits{})
	var running sync.WaitGroup
	for g := range senders {
		running.Go(func() {
			for i := range messages {
				size := []int{5, 130, 5000, 70000}[(g+i)%4]
				if err := client.SendBinary(bytes.Repeat([]byte{byte(g)}, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	counts := map[byte]int{}
	var msg []byte
	for range senders * messages {
		_, m, err := server.RecvMessage(msg[:0])
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.Trim(m, string(rune(m[0])))) != 0 {
			t.Fatal("torn frame")
		}
		counts[m[0]]++
		msg = m
	}
	running.Wait()
	for g := range senders {
		if counts[byte(g)] != messages {
			t.Errorf("sender %d: %d messages, want %d", g, counts[byte(g)], messages)
		}
	}
}

func (s Suite) testSendDeadlineIsFatal(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{})
	c.SetSendDeadline(time.Now().Add(20 * time.Millisecond))
	if err := c.SendBinary(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	c.SetSendDeadline(time.Time{})
	if err := c.SendText(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("afterwards: %v", err)
	}
}

func (s Suite) testEchoAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	for _, size := range []int{16, 125, 4096, 65536} {
		client, server := s.pair(t, "tcp", websock.Limits{})
		payload := bytes.Repeat([]byte("a"), size)
		buf := make([]byte, 0, size)
		carry := func(from, to *websock.Conn) {
			if err := from.SendText(payload); err != nil {
				t.Fatal(err)
			}
			if _, msg, err := to.RecvMessage(buf); len(msg) != size || err != nil {
				t.Fatal(len(msg), err)
			}
		}
		allocs := testing.AllocsPerRun(200, func() {
			carry(client, server)
			carry(server, client)
		})
		if allocs > s.Allocates {
			t.Errorf("%d bytes: %v allocations, want %v", size, allocs, s.Allocates)
		}
	}
}
