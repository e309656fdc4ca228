package fuzz

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/bounds"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport/std"
)

// A schedule is what happens on a link, and at its ends.
type schedule struct {
	clientFaults, serverFaults program
	clientScript, serverScript program
	manner                     manner
	transport                  websock.Transport
}

// A manner is how the peers of a schedule go about it, in bits: one each for whether client
// and server are pushed, two each for their ways, then one each for compression, for limits
// that are soon reached, and for compression that forgets every message.
type manner uint16

func (m manner) clientWay() way   { return peerWays[m&1|m>>2&3<<1] }
func (m manner) serverWay() way   { return peerWays[m>>1&1|m>>4&3<<1] }
func (m manner) compresses() bool { return m>>6&1 != 0 }
func (m manner) isTight() bool    { return m>>7&1 != 0 }
func (m manner) forgets() bool    { return m>>8&1 != 0 }

func (m manner) compression() websock.Compression {
	if !m.compresses() {
		return websock.Compression{}
	}
	return websock.Compression{Level: 1, SendTakeover: !m.forgets(), RecvTakeover: !m.forgets(), SendWindowBits: 9, RecvWindowBits: 10}
}

// limits are such that both peers keep to what the other one wants.
func (m manner) limits() websock.Limits {
	l := websock.Limits{CloseTimeout: enough}
	if m.isTight() {
		l.SendQueue, l.PongRate = 4<<10, 2
	}
	return l
}

// run plays the schedule to its end and checks what each peer has to rely on.
func (s *schedule) run(t *testing.T) (client, server *peer) {
	l, near, far := newLink(s.clientFaults[:min(len(s.clientFaults), most)], s.serverFaults[:min(len(s.serverFaults), most)])
	client, server = s.play(t, l, near, far)
	time.Sleep(2 * enough) // goroutines that are left then are leaked
	return client, server
}

// play is run over the two ends of a connection, which is l or works as l does without faults.
func (s *schedule) play(t *testing.T, l *link, near, far net.Conn) (client, server *peer) {
	served := make(chan *peer)
	go func() { served <- s.serve(t, l, far) }()
	client = s.dial(t, l, near)
	server = <-served
	if client != nil && server != nil {
		checkPair(t, l, client, server)
	}
	return client, server
}

// dial is the client, from the opening handshake to the end. It returns nil if there was
// no connection.
func (s *schedule) dial(t *testing.T, l *link, e net.Conn) *peer {
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	result, err := handshake.Client(ctx, e, &handshake.Request{Host: "h", Compression: s.manner.compression()})
	if !agreed(t, l, err) {
		return nil
	}
	p := newPeer(t, s.connOf(t, e, websock.Client, result), s.clientScript, s.manner.clientWay(), 4000)
	p.start()
	<-p.finished
	<-p.heard
	p.closeOnce()
	<-p.ended
	p.meanwhile.Wait()
	return p
}

// serve is the server, which waits for the client to end the connection.
func (s *schedule) serve(t *testing.T, l *link, e net.Conn) *peer {
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	result, _, err := handshake.ServerConn(ctx, e, &handshake.ServerOptions{Compression: s.manner.compression()})
	if !agreed(t, l, err) {
		return nil
	}
	p := newPeer(t, s.connOf(t, e, websock.Server, result), s.serverScript, s.manner.serverWay(), 4001)
	p.start()
	<-p.finished
	<-p.ended
	p.meanwhile.Wait()
	p.closeOnce()
	return p
}

// agreed reports whether a handshake succeeded, as it must if the link works.
func agreed(t *testing.T, l *link, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
	case !errors.As(err, new(*websock.HandshakeError)):
		t.Errorf("%v is no documented error", err)
	case !l.broken && !l.early:
		t.Errorf("without a fault: %v", err)
	}
	return err == nil
}

func (s *schedule) connOf(t *testing.T, e net.Conn, role websock.Role, r *handshake.Result) *websock.Conn {
	carried, err := websock.Attach(s.transport, e, r.Early)
	if err != nil {
		t.Fatal(err)
	}
	return websock.NewConn(carried, role, websock.Options{Limits: s.manner.limits(), Compression: r.Compression})
}

// checkPair compares what both sides sent, heard and said in the end.
func checkPair(t *testing.T, l *link, client, server *peer) {
	l.mu.Lock() // an end may still be discarding
	broken, early := l.broken, l.early
	l.mu.Unlock()
	works := !broken && !client.cut && !server.cut
	if works && !early && (client.gaveUp() || server.gaveUp()) {
		t.Errorf("closed with %v and %v, though the other side was there", client.closeErr, server.closeErr)
	}
	works = works && !client.gaveUp() && !server.gaveUp()
	client.checkReceived(server)
	server.checkReceived(client)
	client.checkEnds(server, works)
	server.checkEnds(client, works)
}

// checkReceived demands what the other side sent, in order: all of it if the other side said
// in the end that this was all, else the start.
func (p *peer) checkReceived(from *peer) {
	sent := from.sent
	if from.tried != nil {
		sent = append(sent, *from.tried) // it may have left
	}
	got := slices.DeleteFunc(slices.Clone(p.got.messages), isEcho)
	checkStart(p.t, got, sent)
	echoes := slices.DeleteFunc(slices.Clone(p.got.messages), func(m message) bool { return !isEcho(m) })
	checkStart(p.t, echoes, from.echoes)
	if p.wasTold(from) && (len(got) < len(from.sent) || len(echoes) < len(from.echoes)) {
		p.t.Errorf("%d messages of %d and %d echoes of %d came before %v",
			len(got), len(from.sent), len(echoes), len(from.echoes), p.got.err)
	}
	if p.got.ends != 1 {
		p.t.Errorf("the end came %d times", p.got.ends)
	}
}

func isEcho(m message) bool { return strings.HasPrefix(m.payload, echoed) }

func checkStart(t *testing.T, got, sent []message) {
	if len(got) > len(sent) || !slices.Equal(got, sent[:len(got)]) {
		t.Errorf("%d messages came, %.300v\n%d were sent, %.300v", len(got), got, len(sent), sent)
	}
}

// wasTold reports whether receiving ended with the other side's close frame.
func (p *peer) wasTold(by *peer) bool {
	closed := p.closed()
	return closed != nil && !closed.Local && closed.Code == by.farewell
}

// closed returns how receiving ended, nil if that is no *websock.CloseError.
func (p *peer) closed() (closed *websock.CloseError) {
	errors.As(p.got.err, &closed)
	return closed
}

// gaveUp reports whether the peer didn't wait for the other side to complete the closing
// handshake.
func (p *peer) gaveUp() bool {
	closed := p.closed()
	return errors.Is(p.closeErr, websock.ErrTimeout) || closed != nil && closed.Local && errors.Is(closed, websock.ErrTimeout)
}

// isSure reports whether the peer was told that the closing handshake, which it began, is
// complete.
func (p *peer) isSure() bool {
	closed := p.closed()
	return p.way.pushed && closed != nil && closed.Local && closed.Code == p.farewell && closed.Err == websock.ErrClosed
}

// checkEnds demands of a link that works an end that one of the two has asked for; and that
// who is sure that the other side knows of the end, and so has got everything, is right.
func (p *peer) checkEnds(other *peer, works bool) {
	closed, others := p.closed(), other.closed()
	switch {
	case works && p.closeErr != nil:
		p.t.Errorf("closed with %v", p.closeErr)
	case works && (closed == nil || closed.Code != p.farewell && closed.Code != other.farewell):
		p.t.Errorf("the end was %v", p.got.err)
	case p.isSure() && !other.wasTold(p) && !(others != nil && others.Local):
		p.t.Errorf("%v is sure that all has arrived, but the other side got %v", p.conn.Role(), other.got.err)
	}
}

// FuzzPair lets a client and a server talk over a link with faults of all kinds at any
// byte, from the opening handshake to the closing one, by pulling and by callback. What
// comes is what was sent, in order; if the end was as it should be, all of it comes; every
// error is a documented one; and nobody waits forever.
func FuzzPair(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte("\x03\x05Hello\x00\x02hi\xf2\x01x\x01"), []byte("\x04\x05World"), uint16(0))
	f.Add([]byte("\x08\x08\x08\x08\x08\x0c\x0c"), []byte("\x10\x18\x24\x0d\x0d\x0d"), []byte("\x03\x06Hello!\x01"), []byte("\x03\x02ab"), uint16(3))
	f.Add([]byte("\x00\x00\x00\x05\x00\x05\x05\x07"), []byte("\x00\x00\x00\x08\x10\x05\x0f"), []byte("\xf2\x01x"), []byte("\x04\x05World\x00"), uint16(1))
	f.Add([]byte("\x00\x00\x00\x00\x06"), []byte{}, []byte("\x03\x05Hello"), []byte("\x04\x05World\x00"), uint16(2))
	f.Add([]byte{}, []byte("\x00\x00\x00\x0e"), []byte("\x03\x05Hello"), []byte("\x04\x05World\x00"), uint16(3))
	f.Fuzz(func(t *testing.T, clientFaults, serverFaults, clientScript, serverScript []byte, how uint16) {
		bounds.Check(t, 64<<20, func() {
			synctest.Test(t, func(t *testing.T) {
				s := schedule{clientFaults, serverFaults, clientScript, serverScript, manner(how), std.Transport()}
				s.run(t)
			})
		})
	})
}
