package fuzz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/handshake"
	"github.com/seed004e8d11/websock/internal/bounds"
	"github.com/seed004e8d11/websock/transport/std"
)

const (
	// lastWord is the message that each peer sends last.
	lastWord = "that is all"

	farewell engine.CloseCode = 4000

	// most is how many faults an end may have, so that enough is a time within which
	// everything can be done, however the link delays it.
	most   = 200
	enough = 2 * most * faultSize * time.Millisecond
)

// A peer is one side of a connection over a link.
type peer struct {
	t      *testing.T
	conn   *engine.Conn
	script program
	pushed bool

	sent     []message // accepted
	tried    *message  // the one that was not
	got      gatherer
	finished chan struct{} // all was sent, or nothing more can be
	heard    chan struct{} // the last word came, or the end
	ended    chan struct{} // receiving is over
	partErr  error         // of the client's Close
}

func newPeer(t *testing.T, conn *engine.Conn, script program, pushed bool) *peer {
	return &peer{
		t: t, conn: conn, script: script, pushed: pushed,
		finished: make(chan struct{}), heard: make(chan struct{}), ended: make(chan struct{}),
	}
}

// start begins to send and to receive.
func (p *peer) start() {
	go p.send()
	if p.pushed {
		p.conn.SetHandler(p)
	} else {
		go p.pull()
	}
}

func (p *peer) send() {
	defer close(p.finished)
	for steps := 0; steps < 20 && !p.script.ended(); steps++ {
		kind := p.script.next()
		payload := string(p.script.take(int(p.script.next() % 32)))
		var err error
		switch {
		case kind%8 == 0:
			err = p.conn.SendPing([]byte(payload))
		case kind%8 == 1:
			time.Sleep(time.Duration(kind) * time.Millisecond)
		case kind%8 == 2: // more than is under way at a time
			err = p.message(engine.OpBinary, fmt.Sprintf("%s%0*d", payload, 200*int(kind), 0))
		default:
			err = p.message(engine.OpBinary, payload)
		}
		if err != nil {
			p.giveUp(err)
			return
		}
	}
	if err := p.message(engine.OpText, lastWord); err != nil {
		p.giveUp(err)
	}
}

func (p *peer) message(op engine.Opcode, payload string) error {
	var err error
	if half := len(payload) / 2; half%2 == 1 {
		if err = p.conn.SendFrame(op, false, []byte(payload[:half])); err == nil {
			err = p.conn.SendFrame(engine.OpContinuation, true, []byte(payload[half:]))
		}
	} else {
		err = p.conn.SendFrame(op, true, []byte(payload))
	}
	if err != nil {
		p.tried = &message{op, payload}
		return err
	}
	p.sent = append(p.sent, message{op, payload})
	return nil
}

// giveUp ends a connection on which nothing more can be sent.
func (p *peer) giveUp(err error) {
	p.checkEnd(err)
	p.conn.Close()
}

// checkEnd demands a documented error of a peer that does everything right.
func (p *peer) checkEnd(err error) {
	if closed := new(engine.CloseError); !errors.As(err, &closed) {
		p.t.Errorf("the end is %v", err)
	}
}

// pull receives with timeouts of all lengths.
func (p *peer) pull() {
	buf := make([]byte, 6000)
	for i := 1; ; i++ {
		h, n, err := p.conn.RecvTimeout(buf[:1+i*997%len(buf)], time.Duration(1+i%7)*time.Millisecond)
		switch {
		case errors.Is(err, engine.ErrTimeout) && !errors.As(err, new(*engine.CloseError)):
			if n > 0 {
				p.t.Errorf("%d bytes with ErrTimeout", n)
			}
		case err != nil:
			p.OnClose(p.conn, err)
			p.conn.Close()
			return
		case h.Opcode != engine.OpNone:
			p.OnData(p.conn, h, buf[:n])
		}
	}
}

func (p *peer) OnData(c *engine.Conn, h engine.Header, payload []byte) {
	p.got.OnData(c, h, payload)
	if n := len(p.got.messages); n > 0 && !p.got.open && p.got.messages[n-1].opcode == engine.OpText {
		close(p.heard)
	}
}

func (p *peer) OnClose(c *engine.Conn, err error) {
	p.got.OnClose(c, err)
	p.checkEnd(err)
	select {
	case <-p.heard:
	default:
		close(p.heard)
	}
	close(p.ended)
}

// checkReceived demands what the other side sent: all of it, or the start if the link
// broke.
func (p *peer) checkReceived(from *peer, whole bool) {
	sent := from.sent
	if from.tried != nil {
		sent = append(sent, *from.tried) // it may have left
	}
	got := p.got.messages
	if len(got) > len(sent) || !slices.Equal(got, sent[:len(got)]) {
		p.t.Fatalf("%d messages came, %.300v\n%d were sent, %.300v", len(got), got, len(sent), sent)
	}
	if whole && len(got) < len(sent) {
		p.t.Fatalf("%d messages of %d came", len(got), len(sent))
	}
	if p.got.ends != 1 {
		p.t.Fatalf("the end came %d times", p.got.ends)
	}
}

// FuzzPair lets a client and a server talk over a link with faults of all kinds at any
// byte, from the opening handshake to the closing one, by pulling and by callback. What
// comes is what was sent, in order; without a breakage all of it comes and both agree on
// the end; every error is a documented one; and nobody waits forever.
func FuzzPair(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte("\x03\x05Hello\x00\x02hi\xf2\x01x\x01"), []byte("\x04\x05World"), uint8(0))
	f.Add([]byte("\x08\x08\x08\x08\x08\x0c\x0c"), []byte("\x10\x18\x24\x0d\x0d\x0d"), []byte("\x03\x06Hello!\x01"), []byte("\x03\x02ab"), uint8(3))
	f.Add([]byte("\x00\x00\x00\x05\x00\x05\x05\x07"), []byte("\x00\x00\x00\x08\x10\x05\x0f"), []byte("\xf2\x01x"), []byte("\x04\x05World\x00"), uint8(1))
	f.Add([]byte("\x00\x00\x00\x00\x06"), []byte{}, []byte("\x03\x05Hello"), []byte("\x04\x05World\x00"), uint8(2))
	f.Add([]byte{}, []byte("\x00\x00\x00\x0e"), []byte("\x03\x05Hello"), []byte("\x04\x05World\x00"), uint8(3))
	f.Fuzz(func(t *testing.T, clientFaults, serverFaults, clientScript, serverScript []byte, pushed uint8) {
		bounds.Check(t, 64<<20, func() {
			synctest.Test(t, func(t *testing.T) {
				l, near, far := newLink(clientFaults[:min(len(clientFaults), most)], serverFaults[:min(len(serverFaults), most)])
				served := make(chan *peer)
				go func() { served <- serve(t, l, far, serverScript, pushed&2 != 0) }()
				client := dial(t, l, near, clientScript, pushed&1 != 0)
				checkPair(t, l, client, <-served)
				time.Sleep(2 * enough) // goroutines that are left then are leaked
			})
		})
	})
}

// dial is the client, from the opening handshake to the end. It returns nil if there was
// no connection.
func dial(t *testing.T, l *link, e *end, script program, pushed bool) *peer {
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	result, err := handshake.Client(ctx, e, &handshake.Request{Host: "h"})
	if !agreed(t, l, err) {
		return nil
	}
	p := newPeer(t, connOf(e, engine.Client, result), script, pushed)
	p.start()
	<-p.finished
	<-p.heard
	p.partErr = p.conn.CloseWith(farewell, "")
	<-p.ended
	return p
}

// serve is the server, which waits for the client to end the connection.
func serve(t *testing.T, l *link, e *end, script program, pushed bool) *peer {
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	result, _, err := handshake.ServerConn(ctx, e, nil)
	if !agreed(t, l, err) {
		return nil
	}
	p := newPeer(t, connOf(e, engine.Server, result), script, pushed)
	p.start()
	<-p.finished
	<-p.ended
	p.conn.Close()
	return p
}

// agreed reports whether a handshake succeeded, as it must if the link works.
func agreed(t *testing.T, l *link, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
	case !errors.As(err, new(*engine.HandshakeError)):
		t.Errorf("%v is no documented error", err)
	case !l.broken && !l.early:
		t.Errorf("without a fault: %v", err)
	}
	return err == nil
}

func connOf(e *end, role engine.Role, r *handshake.Result) *engine.Conn {
	return engine.NewConn(std.New(e, r.Early), engine.Options{Role: role, Limits: engine.Limits{CloseTimeout: enough}})
}

// checkPair compares what both sides sent, heard and said in the end.
func checkPair(t *testing.T, l *link, client, server *peer) {
	if client == nil || server == nil {
		return
	}
	whole := !l.broken
	server.checkReceived(client, whole)
	client.checkReceived(server, whole)
	if !whole {
		return
	}
	var closed *engine.CloseError
	if !errors.As(server.got.err, &closed) || closed.Code != farewell || closed.Local {
		t.Fatalf("the server heard %v", server.got.err)
	}
	if err := client.partErr; err != nil && !(l.early && errors.Is(err, engine.ErrTimeout)) {
		t.Fatalf("the client closed with %v", err)
	}
}
