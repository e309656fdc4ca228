package tls

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
)

// wantRecord checks the next record that a peer gets.
func wantRecord(t *testing.T, h *handmade, kind byte, payload ...byte) {
	t.Helper()
	gotKind, got := h.receive(t)
	if gotKind != kind || !bytes.Equal(got, payload) {
		t.Errorf("the peer got a record of type %d with % x, want %d with % x", gotKind, got, kind, payload)
	}
}

func TestKeyUpdates(t *testing.T) {
	for _, role := range []string{"client", "server"} {
		for _, chunk := range []int{1, 0} {
			t.Run(fmt.Sprintf("%s, %d bytes at once", role, chunk), func(t *testing.T) {
				c, m, h := againstHandmade(t, tls.VersionTLS13, role)
				m.chunk = chunk
				for round := range 5 {
					answer := byte(round % 2) // update_requested
					h.send(typeHandshake, keyUpdate, 0, 0, 1, answer)
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
					if answer == 1 { // which needs no write of ours to leave
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

func TestKeyUpdatesWhileOthersWrite(t *testing.T) {
	const updates, writes = 50, 200
	c, _, h := againstHandmade(t, tls.VersionTLS13, "client")
	d := newDrain(c)
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
	answers := 0
	var got []byte
	for answers < updates || len(got) < writes*13 {
		kind, payload := h.receive(t)
		if kind == typeHandshake {
			answers++
			h.in.update()
		} else {
			got = append(got, payload...)
		}
	}
	running.Wait()
	if !bytes.Equal(got, bytes.Repeat([]byte("headerpayload"), writes)) {
		t.Error("what was written came changed")
	}
	h.end.Close()
	<-d.ended
	if string(d.received) != string(bytes.Repeat([]byte("x"), updates)) {
		t.Errorf("%d bytes, want %d", len(d.received), updates)
	}
}

func TestAKeyUpdateAfterOurEndBreaksNoReading(t *testing.T) {
	for _, end := range []string{"CloseWrite", "a failed write"} {
		c, m, h := againstHandmade(t, tls.VersionTLS13, "client")
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

func TestKeyUpdatesWithoutEndAreRefused(t *testing.T) {
	c, _, h := againstHandmade(t, tls.VersionTLS13, "client")
	for range 100 {
		h.send(typeHandshake, keyUpdate, 0, 0, 1, 0)
		h.out.update()
	}
	_, err := c.View()
	if err == nil {
		t.Fatal("they were taken")
	}
	if _, again := c.View(); again != err {
		t.Errorf("afterwards: %v", again)
	}
}

// However many there are: what counts is that the peer reads the answers at all.
func TestKeyUpdatesOfAPeerThatReadsLateAreAnswered(t *testing.T) {
	c, m, h := againstHandmade(t, tls.VersionTLS13, "client")
	for range 3 * maxReplies / 100 {
		m.stick(true)
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
		m.stick(false)
		wantRecord(t, h, typeApplication, []byte("ours")...)
		for range 100 {
			wantRecord(t, h, typeHandshake, keyUpdate, 0, 0, 1, 0)
			h.in.update()
		}
	}
}

// The queue never empties, but the answers leave.
func TestAnswersCountOnlyWhileTheyWait(t *testing.T) {
	var w wire
	m := &memory{queue: make([]byte, 100)}
	w.switchTo(m)
	m.stuck = true
	for range 3 * maxReplies {
		w.Write(make([]byte, 27))
		w.out.beginBatch(1000)
		w.Write(make([]byte, 1000))
		w.out.flush()
		m.queue = m.queue[len(m.queue)-500:] // half of the last write waits
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

func TestSessionTicketsInSeveralRecords(t *testing.T) {
	tickets := append(ticket(), ticket()...)
	for cut := 1; cut < len(tickets); cut += 7 {
		for _, deadline := range []bool{false, true} {
			c, m, h := againstHandmade(t, tls.VersionTLS13, "client")
			m.stutter = deadline
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

func TestSessionsResume(t *testing.T) {
	clientConfig, serverConfig := configs(tls.VersionTLS13)
	clientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		client, server := handshake(t, clientConfig, serverConfig)
		if got := client.ConnectionState().DidResume; got != resumed {
			t.Errorf("resumed: %v, want %v", got, resumed)
		}
		c, m := move(t, client, nil)
		m.chunk = 1
		server.Write([]byte("x"))
		if _, err := c.View(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRenegotiationIsRefused(t *testing.T) {
	for _, chunk := range []int{1, 0} {
		for _, text := range []string{"t", "text"} {
			c, m, h := againstHandmade(t, tls.VersionTLS12, "client")
			m.chunk = chunk
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
				t.Error("a write was taken afterwards")
			}
		}
	}
}
