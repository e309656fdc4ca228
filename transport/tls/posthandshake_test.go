package tls

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"
)

// wantRecord checks the next record that the peer receives.
func wantRecord(t *testing.T, h *rawPeer, kind byte, payload ...byte) {
	t.Helper()
	gotKind, got := h.receive(t)
	if gotKind != kind || !bytes.Equal(got, payload) {
		t.Errorf("the peer received a record of type %d with % x, want %d with % x", gotKind, got, kind, payload)
	}
}

func TestKeyUpdates(t *testing.T) {
	for _, role := range []string{"client", "server"} {
		for _, maxRead := range []int{1, 0} {
			t.Run(fmt.Sprintf("%s, %d bytes at once", role, maxRead), func(t *testing.T) {
				c, m, h := connectRawPeer(t, tls.VersionTLS13, role)
				m.maxRead = maxRead
				for round := range 5 {
					reply := byte(round % 2) // update_requested
					h.send(typeHandshake, keyUpdate, 0, 0, 1, reply)
					h.out.update()
					h.send(typeApplication, []byte("new keys")...)
					var got []byte
					for len(got) < 8 {
						view, err := c.View()
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, view...)
						c.Consume(len(view))
					}
					if reply == 1 { // the reply is sent without a write of ours
						wantRecord(t, h, typeHandshake, keyUpdate, 0, 0, 1, 0)
						h.in.update()
					}
					c.Writev([]byte("ours"))
					wantRecord(t, h, typeApplication, []byte("ours")...)
				}
			})
		}
	}
}

// A reply to a key update that the peer doesn't read must not fail when a deadline passes that was set for
// sends: with it, later sends would fail. The deadline is that of the next send, and of what that waits for.
func TestAWriteDeadlineIsNotThatOfAReplyThatWaits(t *testing.T) {
	c, m, h := connectRawPeer(t, tls.VersionTLS13, "client")
	m.stall(true)
	deadline := time.Now().Add(time.Hour)
	given := func() time.Time {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.writeDeadline
	}
	update := func(want time.Time) {
		t.Helper()
		queued := m.Queued()
		h.send(typeHandshake, keyUpdate, 0, 0, 1, 1)
		h.out.update()
		h.send(typeApplication, 'x')
		view, err := c.View()
		if err != nil {
			t.Fatal(err)
		}
		c.Consume(len(view))
		if m.Queued() == queued || !given().Equal(want) {
			t.Errorf("the reply has the deadline %v, want %v", given(), want)
		}
	}
	c.SetWriteDeadline(deadline)
	update(time.Time{})
	c.Writev([]byte("ours"))
	if !given().Equal(deadline) {
		t.Errorf("a send has the deadline %v, want %v", given(), deadline)
	}
	update(deadline) // the send waits before it
}

func TestKeyUpdatesDuringWrites(t *testing.T) {
	const updates, writes = 50, 200
	c, _, h := connectRawPeer(t, tls.VersionTLS13, "client")
	d := newDrainReceiver(c)
	c.Push(d)
	var running sync.WaitGroup
	running.Go(func() {
		for range writes {
			if err := c.Writev([]byte("header"), []byte("payload")); err != nil {
				t.Error(err)
			}
		}
	})
	running.Go(func() {
		for range updates {
			h.send(typeHandshake, keyUpdate, 0, 0, 1, 1)
			h.out.update()
			h.send(typeApplication, 'x')
		}
	})
	replies := 0
	var got []byte
	for replies < updates || len(got) < writes*13 {
		kind, payload := h.receive(t)
		if kind == typeHandshake {
			replies++
			h.in.update()
		} else {
			got = append(got, payload...)
		}
	}
	running.Wait()
	if !bytes.Equal(got, bytes.Repeat([]byte("headerpayload"), writes)) {
		t.Error("the peer received something else than was written")
	}
	h.memConn.Close()
	<-d.ended
	if string(d.received) != string(bytes.Repeat([]byte("x"), updates)) {
		t.Errorf("%d bytes, want %d", len(d.received), updates)
	}
}

func TestKeyUpdateAfterEndOfWritingKeepsReading(t *testing.T) {
	for _, end := range []string{"CloseWrite", "a failed write"} {
		c, m, h := connectRawPeer(t, tls.VersionTLS13, "client")
		if end == "CloseWrite" {
			c.CloseWrite()
			wantRecord(t, h, typeAlert, 1, 0)
		} else {
			m.writeErr = errNotMovable
		}
		h.send(typeHandshake, keyUpdate, 0, 0, 1, 1)
		h.out.update()
		h.send(typeApplication, []byte("last words")...)
		if view, err := c.View(); string(view) != "last words" || err != nil {
			t.Errorf("after %s: %q, %v", end, view, err)
		}
		if sent := m.out.take(); len(sent) > 0 {
			t.Errorf("after %s: %d bytes were sent", end, len(sent))
		}
	}
}

func TestManyKeyUpdatesInARowAreRefused(t *testing.T) {
	c, _, h := connectRawPeer(t, tls.VersionTLS13, "client")
	for range 100 {
		h.send(typeHandshake, keyUpdate, 0, 0, 1, 0)
		h.out.update()
	}
	_, err := c.View()
	if err == nil {
		t.Fatal("they were accepted")
	}
	if _, again := c.View(); again != err {
		t.Errorf("afterwards: %v", again)
	}
}

// Their number is not limited as long as the peer reads the replies.
func TestKeyUpdatesOfSlowReaderAreAnswered(t *testing.T) {
	c, m, h := connectRawPeer(t, tls.VersionTLS13, "client")
	for range 3 * maxReplies / 100 {
		m.stall(true)
		c.Writev([]byte("ours"))
		for range 100 {
			h.send(typeHandshake, keyUpdate, 0, 0, 1, 1)
			h.out.update()
			h.send(typeApplication, 'x')
		}
		for got := 0; got < 100; {
			view, err := c.View()
			if err != nil {
				t.Fatal(err)
			}
			got += len(view)
			c.Consume(len(view))
		}
		m.stall(false)
		wantRecord(t, h, typeApplication, []byte("ours")...)
		for range 100 {
			wantRecord(t, h, typeHandshake, keyUpdate, 0, 0, 1, 0)
			h.in.update()
		}
	}
}

// The queue never becomes empty, but the replies are sent.
func TestSentRepliesAreNotCounted(t *testing.T) {
	var w wire
	m := &fakeTransport{queue: make([]byte, 100)}
	w.switchTo(m)
	m.stalled = true
	for range 3 * maxReplies {
		w.Write(make([]byte, 27))
		w.out.beginBatch(1000)
		w.Write(make([]byte, 1000))
		w.out.flush()
		m.queue = m.queue[len(m.queue)-500:] // half of the last write is still queued
	}
	if w.out.err != nil {
		t.Error(w.out.err)
	}
	for range 2 * maxReplies {
		w.Write(make([]byte, 27))
	}
	if w.out.err != ErrKeyUpdates || len(m.queue) > 30*maxReplies {
		t.Errorf("%v, with %d bytes queued", w.out.err, len(m.queue))
	}
}

// ticket is a NewSessionTicket message (RFC 8446 section 4.6.1).
func ticket() []byte {
	body := []byte{0, 0, 1, 0, 1, 2, 3, 4, 1, 9} // lifetime, age_add, nonce
	body = append(body, 0, 100)
	body = append(body, plaintext(100)...)
	body = append(body, 0, 0) // extensions
	return append([]byte{newSessionTicket, 0, 0, byte(len(body))}, body...)
}

func TestSessionTicketsAcrossRecords(t *testing.T) {
	tickets := append(ticket(), ticket()...)
	for cut := 1; cut < len(tickets); cut += 7 {
		for _, deadline := range []bool{false, true} {
			c, m, h := connectRawPeer(t, tls.VersionTLS13, "client")
			m.timeouts = deadline
			h.send(typeHandshake, tickets[:cut]...)
			h.send(typeHandshake, tickets[cut:]...)
			h.send(typeApplication, []byte("text")...)
			h.send(typeAlert, 1, 0)
			if got, _, err := readAll(c); string(got) != "text" {
				t.Fatalf("cut at %d: %q, %v", cut, got, err)
			}
		}
	}
}

func TestMovedConnectionReceivesSession(t *testing.T) {
	clientConfig, serverConfig := configs(tls.VersionTLS13)
	clientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		client, server := handshake(t, clientConfig, serverConfig)
		if got := client.ConnectionState().DidResume; got != resumed {
			t.Errorf("resumed: %v, want %v", got, resumed)
		}
		c, m := move(t, client, nil)
		m.maxRead = 1
		server.Write([]byte("x"))
		if _, err := c.View(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRenegotiationIsRefused(t *testing.T) {
	for _, maxRead := range []int{1, 0} {
		for _, text := range []string{"t", "text"} {
			c, m, h := connectRawPeer(t, tls.VersionTLS12, "client")
			m.maxRead = maxRead
			h.send(typeApplication, []byte(text)...)
			h.send(typeHandshake, helloRequest, 0, 0, 0)
			h.send(typeApplication, []byte("more text")...)
			got, _, err := readAll(c)
			if string(got) != text || err == nil {
				t.Errorf("%q, %v", got, err)
			}
			const noRenegotiation = 100
			wantRecord(t, h, typeAlert, 1, noRenegotiation)
			if err := c.Writev([]byte("ours")); err == nil {
				t.Error("a later write succeeded")
			}
		}
	}
}
