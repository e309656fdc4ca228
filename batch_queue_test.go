package websock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// ways are the ways to send a message.
var ways = map[string]func(c *Conn, msg []byte) error{
	"SendBinary": (*Conn).SendBinary,
	"Reserve": func(c *Conn, msg []byte) error {
		sb, err := c.Reserve(len(msg))
		if err != nil {
			return err
		}
		copy(sb.Bytes(), msg)
		return sb.SendBinary(len(msg))
	},
	"NextWriter": func(c *Conn, msg []byte) error {
		w, err := c.NextWriter(OpBinary)
		if err != nil {
			return err
		}
		w.Write(msg)
		return w.Close()
	},
	"NetConn": func(c *Conn, msg []byte) error {
		_, err := c.NetConn(OpBinary).Write(msg)
		return err
	},
	"SendPrepared": func(c *Conn, msg []byte) error {
		pm, err := NewPreparedMessage(OpBinary, msg)
		if err != nil {
			return err
		}
		return c.SendPrepared(pm)
	},
}

func isFull(err error, limit int) bool {
	var full *LimitError
	return errors.Is(err, ErrSendQueueFull) && errors.As(err, &full) && *full == LimitError{Limit: "SendQueue", Max: int64(limit), Code: ClosePolicyViolation, Err: ErrSendQueueFull}
}

func TestAFullQueueRefusesSendsAndLosesNothing(t *testing.T) {
	const limit = 200
	policies := map[string]struct {
		when    QueuePolicy
		handler bool
	}{
		"QueueRefuses":                {QueueRefuses, false},
		"QueueRefuses with a Handler": {QueueRefuses, true},
		"the default with a Handler":  {QueueDefault, true},
	}
	for policy, p := range policies {
		refusing := maps.Clone(ways)
		refusing["TrySend"] = func(c *Conn, msg []byte) error { return c.TrySend(OpBinary, msg) }
		refusing["TrySendPrepared"] = func(c *Conn, msg []byte) error { return c.TrySendPrepared(prepared(t, OpBinary, string(msg))) }
		for way, send := range refusing {
			for _, role := range []Role{Client, Server} {
				t.Run(fmt.Sprintf("%s/%s/%v", policy, way, role), func(t *testing.T) {
					c, d := opened(role, Limits{SendQueue: limit, WhenFull: p.when})
					if p.handler {
						c.SetHandler(&recorder{})
					}
					var want []string
					refused := 0
					for i := range 60 {
						msg := fmt.Sprintf("message %d", i)
						was := d.Queued()
						switch err := send(c, []byte(msg)); {
						case err == nil:
							want = append(want, "bin "+msg)
						case isFull(err, limit) && d.Queued() == was:
							refused++
							if i%4 == 0 {
								d.let(100)
							}
						default:
							t.Fatalf("%v, with %d bytes queued, %d before", err, d.Queued(), was)
						}
					}
					d.let(d.Queued())
					if err := send(c, []byte("last")); err != nil {
						t.Error(err)
					}
					d.let(d.Queued())
					if got := unframe(role, d.out); got != strings.Join(append(want, "bin last"), "; ") {
						t.Errorf("sent %q, want %q", got, want)
					}
					if refused == 0 || len(want) < 30 || d.most > limit+engine.MaxHeaderSize {
						t.Errorf("%d refused, %d sent, %d bytes queued", refused, len(want), d.most)
					}
				})
			}
		}
	}
}

func TestAnEmptyQueueAcceptsAMessageOfAnySize(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, size := range []int{500, 5000, pieceSize + 1, 1 << 20} {
			c, d := opened(role, Limits{SendQueue: 100, WhenFull: QueueRefuses})
			if err := c.SendBinary(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			if err := c.SendBinary(make([]byte, size)); !isFull(err, 100) {
				t.Errorf("%v, %d bytes: another gets %v", role, size, err)
			}
			d.let(d.Queued())
			if got := unframe(role, d.out); len(got) != len("bin ")+size {
				t.Errorf("%v, %d bytes: sent %.50q", role, size, got)
			}
		}
	}
}

func TestARefusedFragmentDoesNotBeginAMessage(t *testing.T) {
	c, d := opened(Client, Limits{SendQueue: 100, WhenFull: QueueRefuses})
	c.SendText(make([]byte, 100))
	if err := c.SendFrame(OpText, false, []byte("\xe2\x82")); !isFull(err, 100) {
		t.Fatal(err)
	}
	d.let(1000)
	if err := c.SendFrame(OpContinuation, true, nil); err != ErrFrameOrder {
		t.Errorf("%v", err)
	}
	for _, fragment := range []struct {
		op  Opcode
		fin bool
		p   string
	}{{OpText, false, "\xe2\x82"}, {OpContinuation, true, "\xac"}} {
		if err := c.SendFrame(fragment.op, fragment.fin, []byte(fragment.p)); err != nil {
			t.Error(err)
		}
	}
}

func TestASendAfterCloseIsNotALimitError(t *testing.T) {
	c, _ := opened(Client, Limits{SendQueue: 100, WhenFull: QueueRefuses})
	c.SetHandler(&recorder{})
	c.SendText(make([]byte, 100))
	if err := c.Close(); err != nil { // a close frame always finds room
		t.Error(err)
	}
	if err := c.SendText(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := c.SendBinary(make([]byte, pieceSize+1)); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestAFullQueueMakesSendersWait(t *testing.T) {
	const limit, senders, each = 1000, 4, 20
	policies := map[string]struct {
		when    QueuePolicy
		handler bool
	}{
		"QueueWaits":                {QueueWaits, false},
		"QueueWaits with a Handler": {QueueWaits, true},
		"the default":               {QueueDefault, false},
	}
	for policy, p := range policies {
		for way, send := range ways {
			if way == "NextWriter" {
				continue // there is one at a time
			}
			t.Run(policy+"/"+way, func(t *testing.T) {
				c, d := opened(Client, Limits{SendQueue: limit, WhenFull: p.when})
				if p.handler {
					c.SetHandler(&recorder{})
				}
				var sending sync.WaitGroup
				for g := range senders {
					sending.Go(func() {
						for i := range each {
							if err := send(c, bytes.Repeat([]byte{byte('a' + g)}, 90+i)); err != nil {
								t.Error(err)
							}
						}
					})
				}
				sent := make(chan struct{})
				go func() {
					sending.Wait()
					close(sent)
				}()
				d.awaitDrains(1)
				select {
				case <-sent:
					t.Fatal("nobody waits")
				case <-time.After(5 * time.Millisecond):
				}
				for done := false; !done; {
					select {
					case <-sent:
						done = true
					default:
						d.let(100)
						time.Sleep(50 * time.Microsecond)
					}
				}
				d.let(d.Queued())
				next := [senders]int{}
				for _, f := range strings.Split(unframe(Client, d.out), "; ") {
					payload := strings.TrimPrefix(f, "bin ")
					g := payload[0] - 'a'
					if strings.Trim(payload, payload[:1]) != "" || len(payload) != 90+next[g] {
						t.Fatalf("torn, lost or out of order: %q", f)
					}
					next[g]++
				}
				if next != [senders]int{each, each, each, each} {
					t.Errorf("%v came", next)
				}
				if d.most > 2*limit {
					t.Errorf("%d bytes were queued at a limit of %d", d.most, limit)
				}
			})
		}
	}
}

// The pending batch of another sender needs room in the queue, too. Until there is some, a sender
// waits without polling the transport.
func TestSendersCountThePendingBatchOfOthers(t *testing.T) {
	c, d := opened(Server, Limits{SendQueue: 1000})
	c.SendBinary(make([]byte, 900))
	var senders sync.WaitGroup
	send := func() { senders.Go(func() { c.SendBinary(make([]byte, 200)) }) }
	send() // it waits for the peer
	d.awaitDrains(1)
	send() // it waits for the other one's turn
	waitUntilGathered(c, 200)
	d.let(150) // room for one of them
	time.Sleep(10 * time.Millisecond)
	d.awaitDrains(1)
	if d.mu.Lock(); d.calls > 3 {
		t.Errorf("the transport was asked %d times", d.calls)
	}
	d.mu.Unlock()
	d.let(1000)
	senders.Wait()
	d.let(1000)
	if got := strings.Count(unframe(Server, d.out), "bin"); got != 3 {
		t.Errorf("%d frames, want 3", got)
	}
}

func TestALargeFrameWaitsAfterEachPiece(t *testing.T) {
	const limit, size = 1000, 5*pieceSize + 77
	c, d := opened(Client, Limits{SendQueue: limit})
	payload := []byte(strings.Repeat("0123456789", size/10))
	sent := make(chan error, 1)
	go func() { sent <- c.SendBinary(payload) }()
	for done := false; !done; {
		select {
		case err := <-sent:
			if err != nil {
				t.Error(err)
			}
			done = true
		default:
			d.let(10000)
		}
	}
	if d.Queued() > limit || d.most > pieceSize+engine.MaxHeaderSize {
		t.Errorf("%d bytes are queued, %d were", d.Queued(), d.most)
	}
	d.let(limit)
	if got := unframe(Client, d.out); got != "bin "+string(payload) {
		t.Errorf("sent %.50q", got)
	}
}

// parkedSenders starts senders of all kinds that wait for the peer, and returns a channel of their
// errors.
func parkedSenders(c *Conn, d *queueTransport) <-chan error {
	c.SendText(make([]byte, 100))
	errs := make(chan error, len(ways)+1)
	for _, send := range ways {
		go func() { errs <- send(c, make([]byte, 100)) }()
	}
	go func() { errs <- c.SendBinary(make([]byte, pieceSize+1)) }()
	d.awaitDrains(1)
	return errs
}

func TestTheEndOfTheConnectionWakesWaitingSenders(t *testing.T) {
	ends := map[string]struct {
		end  func(c *Conn, d *queueTransport)
		want error
	}{
		"its send deadline passes": {func(_ *Conn, d *queueTransport) { d.end(os.ErrDeadlineExceeded) }, os.ErrDeadlineExceeded},
		"it is lost":               {func(_ *Conn, d *queueTransport) { d.end(io.ErrClosedPipe) }, io.ErrClosedPipe},
		"Abort":                    {func(c *Conn, _ *queueTransport) { c.Abort(io.ErrNoProgress) }, io.ErrNoProgress},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			c, d := opened(Client, Limits{SendQueue: 100})
			errs := parkedSenders(c, d)
			end.end(c, d)
			for range cap(errs) {
				err := <-errs
				var closed *CloseError
				if !errors.Is(err, end.want) || !errors.As(err, &closed) || closed.Code != CloseAbnormal {
					t.Errorf("%v, want a CloseError because of %v", err, end.want)
				}
			}
		})
	}
}

func TestDrainWaitsForThePeer(t *testing.T) {
	c, d := opened(Client, Limits{WhenFull: QueueRefuses})
	c.SendBinary(make([]byte, 1000))
	for _, most := range []int{600, 300, 0, -1} {
		drained := make(chan error, 1)
		go func() { drained <- c.Drain(most) }()
		d.awaitDrains(1)
		d.let(d.Queued() - max(most, 0) - 1)
		select {
		case err := <-drained:
			t.Fatalf("returned %v with %d bytes queued", err, d.Queued())
		case <-time.After(5 * time.Millisecond):
		}
		d.let(1)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		c.SendBinary(make([]byte, 1000))
	}
}

func TestDrainReturnsHowTheConnectionEnded(t *testing.T) {
	c, d := opened(Client, Limits{})
	c.SendBinary(make([]byte, 1000))
	d.end(os.ErrDeadlineExceeded)
	var closed *CloseError
	if err := c.Drain(0); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &closed) || closed.Code != CloseAbnormal {
		t.Errorf("after the send deadline: %v", err)
	}
	if err := c.SendText(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a send after that: %v", err)
	}

	c, _ = opened(Client, Limits{})
	c.CloseWith(CloseGoingAway, "")
	if err := c.Drain(0); !errors.As(err, &closed) || !closed.Local || closed.Code != CloseGoingAway {
		t.Errorf("after Close: %v", err)
	}
}

func TestDrainReturnsAtOnceIfNothingIsQueued(t *testing.T) {
	c, _ := newScripted(Client, Limits{})
	c.SendText([]byte("Hello"))
	if err := c.Drain(0); err != nil {
		t.Error(err)
	}
}

func TestSendersDoNotWaitForATransportWithoutQueue(t *testing.T) {
	d := newQueueTransport()
	c := NewConn(pullOnlyTransport{d}, Client, Options{Limits: Limits{SendQueue: 100, WhenFull: QueueWaits}})
	for range 10 {
		if err := c.SendBinary(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
}

// What TrySend has left to a waiting SendContext is written even if that is canceled.
func TestACanceledSendContextWritesUnownedBatches(t *testing.T) {
	c, d := opened(Client, Limits{SendQueue: 100, WhenFull: QueueWaits})
	if err := c.TrySend(OpBinary, make([]byte, 90)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	sent := make(chan error, 1)
	go func() { sent <- c.SendContext(ctx, OpBinary, make([]byte, 90)) }()
	d.awaitDrains(1)
	cancel()
	d.let(50)
	if err := c.TrySend(OpText, []byte("left")); err != nil {
		t.Fatal(err)
	}
	d.let(1000)
	if err := <-sent; err != context.Canceled {
		t.Errorf("SendContext: %v", err)
	}
	d.let(1000)
	if got := unframe(Client, d.out); !strings.HasSuffix(got, "text left") {
		t.Errorf("what was left has not been written: %.200q", got)
	}
}

func TestDrainWaitsForWhatTrySendHasQueued(t *testing.T) {
	c, s := newStuck(t, 0)
	for {
		err := c.TrySend(OpBinary, make([]byte, 16<<10))
		if errors.Is(err, ErrSendQueueFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(0) }()
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v, and %d bytes wait", err, c.Queued())
	case <-time.After(20 * time.Millisecond):
	}
	close(s.free)
	if err := <-drained; err != nil || c.Queued() > 0 {
		t.Errorf("%v, and %d bytes wait", err, c.Queued())
	}
	if err := c.TrySend(OpText, []byte("more")); err != nil {
		t.Error(err)
	}
}

// Another sender takes what TrySend has queued and begins to write it, but doesn't wait for that.
func TestDrainWaitsForWhatAnotherSenderHasBegunToWrite(t *testing.T) {
	c, s := newStuck(t, 0)
	sent := make(chan error, 1)
	go func() { sent <- c.SendText([]byte("first")) }()
	waitUntil(func() bool { _, waiting := c.Outgoing(); return waiting > 0 })
	if err := c.TrySend(OpText, []byte("queued")); err != nil {
		t.Fatal(err)
	}
	s.free <- nil
	if err := <-sent; err != nil {
		t.Error(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(0) }()
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v before the message was written", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.free <- nil
	if err := <-drained; err != nil {
		t.Error(err)
	}
	s.sends(Client, "text first; text queued")
}

// A Handler that sends a large frame must not wait for the SendContext of another goroutine that
// waits for the peer: on an event loop the Handler would wait for itself.
func TestAHandlerDoesNotWaitForASendContextThatWaits(t *testing.T) {
	for name, send := range map[string]func(c *Conn, p []byte) error{
		"SendBinary":   func(c *Conn, p []byte) error { return c.SendBinary(p) },
		"SendPrepared": func(c *Conn, p []byte) error { return c.SendPrepared(prepared(t, OpBinary, string(p))) },
		"SendBuffer": func(c *Conn, p []byte) error {
			sb, err := c.Reserve(len(p))
			if err != nil {
				return err
			}
			return sb.SendBinary(len(p))
		},
		"NextWriter": func(c *Conn, p []byte) error {
			w, err := c.NextWriter(OpBinary)
			if err != nil {
				return err
			}
			w.Write(p)
			return w.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newQueueTransport()
			d.chunks = [][]byte{frames(Client, "text x")}
			c := NewConn(d, Client, Options{Limits: Limits{SendQueue: 1 << 20}})
			returned := make(chan error, 1)
			c.SetHandler(Messages(func(c *Conn, _ Opcode, _ []byte) {
				returned <- send(c, make([]byte, 200<<10))
			}, nil))
			if err := c.TrySend(OpBinary, make([]byte, 100<<10)); err != nil {
				t.Fatal(err)
			}
			sent := make(chan error, 1)
			go func() { sent <- c.SendContext(context.Background(), OpBinary, make([]byte, 1<<20)) }()
			d.awaitDrains(1)
			go d.play()
			select {
			case err := <-returned:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Error("the Handler waits")
			}
			c.Abort(nil)
			<-sent
		})
	}
}

func TestNothingFollowsAFailedPieceOfALargeFrame(t *testing.T) {
	d := &failingOnceTransport{queueTransport: newQueueTransport()}
	c := NewConn(d, Client, Options{Limits: Limits{SendQueue: 1000, WhenFull: QueueWaits}})
	c.Cork()
	c.SendText([]byte("before it"))
	var lost *CloseError
	if err := c.SendBinary(make([]byte, 4*pieceSize)); !errors.As(err, &lost) || err != c.Err() {
		t.Errorf("%v, then %v", err, c.Err())
	}
	d.let(d.Queued())
	if got := unframe(Client, d.out); d.writes != 1 || got != "text before it" || c.batch.state != writerStopped {
		t.Errorf("%.100q in %d writes, state %d", got, d.writes, c.batch.state)
	}
}

func TestSendContextDoesNotWaitUnderCork(t *testing.T) {
	d := newQueueTransport()
	c := NewConn(d, Client, Options{Limits: Limits{SendQueue: 10 << 10}, Compression: Compression{Level: 1}})
	c.Cork()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.SendContext(ctx, OpBinary, make([]byte, 1<<20)); err != nil || d.calls > 0 || d.writes > 0 {
		t.Errorf("%v, after %d calls of Drain and %d writes", err, d.calls, d.writes)
	}
	if err := c.Flush(); err != nil || d.writes != 1 {
		t.Errorf("%v, %d writes", err, d.writes)
	}
}
