package h2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"weak"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport/h2"
)

// numbered returns n bytes that differ from their neighbours.
func numbered(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}

// payloadOf returns what was sent of a stream since the last call, and the sizes of the frames.
func (p *peer) payloadOf(id uint32) (payload []byte, sizes []int) {
	p.t.Helper()
	for f := p.next(); f != nil; f = p.next() {
		if f, ok := f.(*http2.DataFrame); ok && f.StreamID == id {
			payload = append(payload, f.Data()...)
			sizes = append(sizes, len(f.Data()))
		}
	}
	return payload, sizes
}

// Each reason to wait has its own wake-up.
func TestSendingGoesOnWhenTheReasonToWaitIsOver(t *testing.T) {
	const size = 300 << 10
	openWindows := []sentFrame{windowUpdate(0, 1<<20), windowUpdate(1, 1<<20)}
	for _, test := range []struct {
		name   string
		before []sentFrame
		wire   func(w *wire)
		sent   int // before the wake-up
		wake   func(p *peer)
		after  int // bytes in all, after it
	}{
		{"the window of the stream", openWindows[:1], nil, 65535, func(p *peer) { p.send(windowUpdate(1, 100)) }, 65635},
		{"the window of the connection", openWindows[1:], nil, 65535, func(p *peer) { p.send(windowUpdate(0, 100)) }, 65635},
		{"SETTINGS", openWindows[:1], nil, 65535, func(p *peer) { p.send(settings(4, 65635)) }, 65635},
		{"SETTINGS that make it negative", openWindows[:1], nil, 65535, func(p *peer) { p.send(settings(4, 10), windowUpdate(1, 65525)) }, 65535},
		{"SETTINGS that make it negative, then an update", openWindows[:1], nil, 65535, func(p *peer) { p.send(settings(4, 10), windowUpdate(1, 65525), windowUpdate(1, 5)) }, 65540},
		{"SETTINGS of 0, and larger ones", append(openWindows[:1:1], settings(4, 0)), nil, 0, func(p *peer) { p.send(settings(4, 7)) }, 7},
		{"the room of the carrier", openWindows, func(w *wire) { w.room = 0 }, 128 << 10, func(p *peer) { p.wire.drain() }, size},
		{"the room of a carrier that doesn't queue", openWindows, func(w *wire) { w.waits, w.room = true, 100 }, 0, func(p *peer) { p.wire.drain() }, size},
		{"nothing", openWindows, nil, size, func(p *peer) {}, size},
	} {
		for _, where := range []string{"outside of a turn", "within a turn"} {
			t.Run(test.name+" "+where, func(t *testing.T) {
				p := newPeer(t, newWire(), client, h2.Config{})
				st := p.open()
				p.send(test.before...)
				p.frames()
				if test.wire != nil {
					test.wire(p.wire)
				}
				payload := numbered(size)
				if where == "within a turn" {
					p.record(st).on = func([]byte) { st.Writev(payload) }
					p.send(data(1, "go"))
				} else if err := st.Writev(payload); err != nil {
					t.Fatal(err)
				}
				var got []byte
				if !p.wire.waits {
					got, _ = p.payloadOf(1)
				}
				if !strings.Contains(test.name, "room") && len(got) != test.sent || len(got) < test.sent || test.sent < size && len(got) > 2*test.sent {
					t.Errorf("%d bytes were sent, want %d", len(got), test.sent)
				}
				test.wake(p)
				more, _ := p.payloadOf(1)
				got = append(got, more...)
				if len(got) != test.after || !bytes.Equal(got, payload[:test.after]) {
					t.Errorf("%d bytes were sent at last, want %d", len(got), test.after)
				}
				if n := st.Queued(); n != size-len(got) {
					t.Errorf("%d bytes are queued", n)
				}
			})
		}
	}
}

// A goroutine that writes takes along what others send meanwhile.
func TestWhatIsSentDuringAWriteFollowsIt(t *testing.T) {
	for _, waits := range []bool{false, true} {
		for _, size := range []int{10, 30 << 10, 300 << 10} {
			t.Run(fmt.Sprint("queues: ", !waits, ", ", size), func(t *testing.T) {
				p := newPeer(t, newWire(), client, h2.Config{})
				p.wire.waits = waits
				first, second := p.open(), p.open()
				p.send(windowUpdate(0, 1<<20), windowUpdate(1, 1<<20), windowUpdate(3, 1<<20))
				p.frames()
				payload := numbered(size)
				p.wire.during = func() {
					if err := second.Writev(payload); err != nil {
						t.Error(err)
					}
				}
				if err := first.Writev(payload); err != nil {
					t.Fatal(err)
				}
				got := map[uint32][]byte{}
				for f := p.next(); f != nil; f = p.next() {
					if f, ok := f.(*http2.DataFrame); ok {
						got[f.StreamID] = append(got[f.StreamID], f.Data()...)
					}
				}
				for id := range uint32(2) {
					if !bytes.Equal(got[1+2*id], payload) {
						t.Errorf("%d bytes of stream %d", len(got[1+2*id]), 1+2*id)
					}
				}
			})
		}
	}
}

// A goroutine that writes leaves what is corked meanwhile to Flush. If that is called during the write, the
// goroutine goes on with all that is pending.
func TestAWriteDoesNotTakeAlongWhatIsCorked(t *testing.T) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprint("queues: ", !waits), func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			first, second := p.open(), p.open()
			p.frames()
			write := func(meanwhile func()) {
				if p.wire.waits = waits; !waits {
					p.wire.during = meanwhile
					first.Writev([]byte("a"))
					return
				}
				p.wire.room = 0
				first.Writev([]byte("a"))
				meanwhile()
				p.wire.drain()
			}
			write(func() {
				p.session.Cork()
				second.Writev([]byte("b"))
			})
			p.gets(`DATA 1 "a"`)
			p.session.Flush()
			p.gets(`DATA 3 "b"`)
			write(func() {
				p.session.Cork()
				second.Writev([]byte("b"))
				p.session.Flush()
				p.session.Cork()
				second.Writev([]byte("c"))
			})
			p.gets(`DATA 1 "a"`, `DATA 3 "b"`, `DATA 3 "c"`)
			p.session.Flush()
		})
	}
}

// While the carrier writes, and the lock isn't held, a stream may end in any way.
func TestAStreamThatEndsDuringItsWrite(t *testing.T) {
	const size = 300 << 10
	for _, test := range []struct {
		name string
		end  func(p *peer, st *h2.Stream)
		err  error
		last string
	}{
		{"Close", func(p *peer, st *h2.Stream) { st.Close() }, net.ErrClosed, "RST_STREAM 1 CANCEL"},
		{"Reset", func(p *peer, st *h2.Stream) { st.Reset(http2.ErrCodeInternal) }, net.ErrClosed, "RST_STREAM 1 INTERNAL_ERROR"},
		{"Session.Close", func(p *peer, st *h2.Stream) { p.session.Close(0, nil) }, net.ErrClosed, ""},
		{"CloseWrite", func(p *peer, st *h2.Stream) { st.CloseWrite() }, nil, `END_STREAM`},
		{"a trailer", func(p *peer, st *h2.Stream) { st.SendHead(connect[:0:0], true) }, nil, `HEADERS 1 END_STREAM`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			st := p.open()
			p.send(windowUpdate(0, 1<<20), windowUpdate(1, 1<<20))
			p.frames()
			p.wire.during = func() { test.end(p, st) }
			payload := numbered(size)
			if err := st.Writev(payload[:size/2], payload[size/2:]); !errors.Is(err, test.err) {
				t.Errorf("%v, want %v", err, test.err)
			}
			p.wire.run()
			var got []byte
			last := ""
			for f := p.next(); f != nil; f = p.next() {
				if strings.HasPrefix(last, "RST_STREAM") || strings.HasSuffix(last, "END_STREAM") {
					t.Errorf("%q came after %q", describe(f), last)
				}
				last = describe(f)
				if f, ok := f.(*http2.DataFrame); ok {
					got = append(got, f.Data()...)
				}
			}
			if !strings.HasSuffix(last, test.last) {
				t.Errorf("the last frame is %q, want %q", last, test.last)
			}
			if test.err == nil && !bytes.Equal(got, payload) || len(got) > size {
				t.Errorf("%d bytes arrived", len(got))
			}
			if err := st.Writev(nil); err == nil || test.err == nil && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("a write after that: %v", err)
			}
		})
	}
}

// A credit is what a peer has given of its windows.
type credit struct {
	connection int
	initial    int
	changes    []int       // initial windows of SETTINGS that were not acknowledged
	updates    map[int]int // of streams, beside initial
	sent       map[int]int
}

func (c *credit) of(id int) int { return c.initial + c.updates[id] - c.sent[id] }

// read checks all frames that the Session has sent, and adds their payload to got.
func (c *credit) read(p *peer, got map[int][]byte) {
	for f := p.next(); f != nil; f = p.next() {
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() && len(c.changes) > 0 {
				c.initial, c.changes = c.changes[0], c.changes[1:]
			}
		case *http2.DataFrame:
			id, n := int(f.StreamID), len(f.Data())
			if n > c.connection || n > max(c.of(id), 0) {
				p.t.Fatalf("%d bytes of stream %d, whose window is %d, and that of the connection %d", n, id, c.of(id), c.connection)
			}
			c.connection -= n
			c.sent[id] += n
			got[id] = append(got[id], f.Data()...)
		}
	}
}

// Whatever the peer and the carrier do, no stream sends beyond its windows, and all arrives in the end.
func TestNothingIsSentBeyondTheWindows(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		p := newPeer(t, newWire(), client, h2.Config{})
		p.wire.waits = seed%2 == 0
		c := credit{connection: 65535, initial: 65535, updates: map[int]int{}, sent: map[int]int{}}
		sent, got := map[int][]byte{}, map[int][]byte{}
		streams, corks := map[int]*h2.Stream{}, 0
		for range 1 + random.IntN(5) {
			st := p.open()
			streams[int(st.ID())] = st
		}
		for range 60 {
			id := 1 + 2*random.IntN(len(streams))
			switch size := 1 << random.IntN(18); random.IntN(9) {
			default:
				payload := numbered(random.IntN(size))
				sent[id] = append(sent[id], payload...)
				split := random.IntN(len(payload) + 1)
				if err := streams[id].Writev(payload[:split], payload[split:]); err != nil {
					t.Fatal(err)
				}
			case 3:
				c.updates[id] += size
				p.send(windowUpdate(uint32(id), uint32(size)))
			case 4:
				c.connection += size
				p.send(windowUpdate(0, uint32(size)))
			case 5:
				c.changes = append(c.changes, size)
				p.send(settings(4, uint32(size), 5, 16<<10+uint32(random.IntN(100_000))))
			case 6:
				p.wire.room = size
			case 7:
				p.wire.drain()
			case 8:
				p.session.Cork()
				corks++
			}
			if p.wire.pending == nil {
				c.read(p, got)
			}
		}
		for range corks {
			p.session.Flush()
		}
		p.wire.drain()
		for id := range streams {
			c.updates[id] += 1 << 24
			c.connection += 1 << 24
			p.send(windowUpdate(uint32(id), 1<<24), windowUpdate(0, 1<<24))
		}
		p.wire.drain()
		c.read(p, got)
		for id := range streams {
			if !bytes.Equal(got[id], sent[id]) {
				t.Fatalf("seed %d: %d bytes of stream %d arrived, want %d", seed, len(got[id]), id, len(sent[id]))
			}
		}
	}
}

// A short message doesn't wait for the bulk of other streams, which take turns.
func TestStreamsSendInTurn(t *testing.T) {
	const bulk = 20
	p := newPeer(t, newWire(), client, h2.Config{})
	p.send(settings(4, 1<<24, 5, 1<<20), windowUpdate(0, 1<<30))
	var streams []*h2.Stream
	for range bulk + 1 {
		streams = append(streams, p.open())
	}
	p.frames()
	p.wire.room = 0
	for _, st := range streams[:bulk] {
		st.Writev(numbered(1 << 20))
	}
	more := func() (order []uint32) { // lets the carrier take what it has queued, and some more
		p.wire.queued = 0
		p.wire.turn()
		for f := p.next(); f != nil; f = p.next() {
			if f, ok := f.(*http2.DataFrame); ok {
				if len(f.Data()) > 16<<10 {
					t.Errorf("a frame of %d bytes, though others wait", len(f.Data()))
				}
				order = append(order, f.StreamID)
			}
		}
		return order
	}
	p.frames() // what the first stream has sent before the carrier was full
	for range 20 {
		more() // until each has had its turn
	}
	var order []uint32
	for len(order) < 10*bulk {
		order = append(order, more()...)
	}
	for i := range len(order) - bulk {
		round := slices.Sorted(slices.Values(order[i:][:bulk]))
		if n := len(slices.Compact(round)); n != bulk {
			t.Fatalf("%d of %d streams had a turn in %v", n, bulk, order[i:][:bulk])
		}
	}
	short := streams[bulk]
	short.Writev([]byte("short"))
	if place := slices.Index(more(), short.ID()); place < 0 || place > 1 {
		t.Errorf("the short message came at place %d", place)
	}
}

func TestFramesOfATurnLeaveInOneWrite(t *testing.T) {
	for _, waits := range []bool{false, true} {
		p := newPeer(t, newWire(), server, h2.Config{})
		p.wire.waits = waits
		var frames []sentFrame
		for range 50 {
			st := p.open()
			st.Push(newEcho(st))
			frames = append(frames, data(st.ID(), "abc"))
		}
		p.frames()
		p.wire.writes = 0
		p.send(append(frames, ping("01234567"))...)
		if got := len(p.frames()); got != 51 || p.wire.writes != 1 {
			t.Errorf("%d frames in %d writes", got, p.wire.writes)
		}
	}
}

// Large frames are sent to a peer that takes them. They are not copied.
func TestLargePayload(t *testing.T) {
	for _, test := range []struct {
		name     string
		maxFrame uint32
		largest  int
	}{
		{"16 KiB", 16 << 10, 16 << 10},
		{"20 KB", 20_000, 20_000},
		{"16 MiB", 1<<24 - 1, 64<<10 - 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWire()
			p := newPeer(t, w, client, h2.Config{})
			p.send(settings(4, 1<<24, 5, test.maxFrame), windowUpdate(0, 1<<24))
			st := p.open()
			p.frames()
			payload := numbered(1 << 20)
			uncopied := 0
			w.seen = func(bufs [][]byte) {
				for _, b := range bufs {
					for i := 0; len(b) > 0 && i < len(payload); i += 1000 {
						if &b[0] == &payload[i] || i == 0 && &b[len(b)-1] == &payload[len(payload)-1] {
							uncopied++
						}
					}
				}
			}
			parts := slices.Collect(slices.Chunk(payload, 100_000))
			if err := st.Writev(parts...); err != nil {
				t.Fatal(err)
			}
			got, sizes := p.payloadOf(1)
			if !bytes.Equal(got, payload) {
				t.Errorf("%d bytes arrived", len(got))
			}
			if slices.Max(sizes) != test.largest || len(sizes) > len(payload)/test.largest+10 {
				t.Errorf("%d frames, the largest of %d bytes", len(sizes), slices.Max(sizes))
			}
			if uncopied == 0 {
				t.Errorf("%d pieces were not copied", uncopied)
			}
		})
	}
}

// A trailer follows what is queued.
func TestATrailerFollowsTheQueue(t *testing.T) {
	for _, fields := range [][]struct{ name, value string }{nil, {{"a", "b"}}} {
		p := newPeer(t, newWire(), server, h2.Config{})
		p.send(settings(4, 2), request(1, true))
		st := p.accepted()
		p.frames()
		st.Writev([]byte("abcd"))
		trailer := connect[:0:0]
		for _, f := range fields {
			trailer = append(trailer, field(f.name, f.value))
		}
		if fields == nil {
			trailer = nil
		}
		if err := st.SendHead(trailer, true); err != nil {
			t.Fatal(err)
		}
		if err := st.Writev([]byte("x")); err != syscall.EPIPE {
			t.Errorf("a write after the trailer: %v", err)
		}
		p.gets(`DATA 1 "ab"`)
		p.send(windowUpdate(1, 10))
		if fields == nil {
			p.gets(`DATA 1 "cd" END_STREAM`)
		} else {
			p.gets(`DATA 1 "cd"`, `HEADERS 1 a=b END_STREAM`)
		}
		if p.session.Streams() != 0 {
			t.Error("the stream has not ended")
		}
	}
}

func TestAHeadThatIsTooLongForAFrameIsContinued(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	long := field("long", strings.Repeat("ä", 20<<10))
	if _, err := p.session.Open(append(connect[:5:5], long), false); err != nil {
		t.Fatal(err)
	}
	f, ok := p.next().(*http2.MetaHeadersFrame)
	if !ok || len(f.Fields) != 6 || f.Fields[5].Value != long.Value {
		t.Errorf("%v", f)
	}
	if f := p.next(); f != nil {
		t.Errorf("and %v", f)
	}
}

// While the carrier takes nothing, heads are not sent without bound.
func TestThereIsNoRoomForMoreHeadsThanTheCarrierTakes(t *testing.T) {
	for _, waits := range []bool{false, true} {
		p := newPeer(t, newWire(), client, h2.Config{})
		p.wire.waits = waits
		if !waits {
			st := p.open()
			p.send(windowUpdate(0, 1<<20), windowUpdate(1, 1<<20))
			p.wire.room = 0
			st.Writev(make([]byte, 300<<10))
		}
		p.wire.room = 0
		long := field("long", strings.Repeat("x", 1000))
		opened := 0
		for ; opened < 10_000; opened++ {
			if _, err := p.session.Open(append(connect[:5:5], long, field("n", fmt.Sprint(opened))), false); err != nil {
				if err != h2.ErrNoRoom {
					t.Fatal(err)
				}
				break
			}
		}
		if opened == 10_000 || opened < 10 {
			t.Errorf("%d streams were opened", opened)
		}
		p.wire.drain()
		if p.session.Err() != nil || p.session.Room() == 0 {
			t.Errorf("there is no room after that: %v", p.session.Err())
		}
	}
}

// A Session that is going away sends everything before it ends.
func TestASessionEndsAfterTheLastByte(t *testing.T) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprint("queues: ", !waits), func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			p.wire.waits = waits
			st := p.open()
			p.send(settings(4, 1<<24), windowUpdate(0, 1<<24))
			p.frames()
			p.session.Shutdown()
			p.wire.room = 0
			payload := numbered(1 << 20)
			st.Writev(payload)
			st.CloseWrite()
			p.send(data(1, "", endStream))
			if p.session.Err() != nil {
				t.Fatal("it has ended")
			}
			p.wire.drain()
			p.wire.run()
			if got, _ := p.payloadOf(1); !bytes.Equal(got, payload) {
				t.Errorf("%d bytes arrived", len(got))
			}
			if p.session.Err() == nil || !p.wire.closed {
				t.Error("it has not ended")
			}
		})
	}
}

// The last frame of a Session goes to the queue of a carrier that is full, without waiting for the peer.
func TestTheReasonOfTheEndIsQueuedBehindWhatThePeerDoesNotTake(t *testing.T) {
	p := newPeer(t, newWire(), server, h2.Config{})
	st := p.open()
	p.send(settings(4, 1<<24), windowUpdate(0, 1<<24))
	p.wire.room = 0
	st.Writev(make([]byte, 1<<20))
	queued := p.wire.Queued()
	p.send(data(0, "violation"))
	if !p.wire.closed {
		t.Error("the carrier is not closed")
	}
	all := p.frames()
	if last := all[len(all)-1]; last != "GOAWAY 1 PROTOCOL_ERROR" || p.wire.Queued() <= queued {
		t.Errorf("the last frame is %q", last)
	}
}

// Streams that wait for the window of the connection are forgotten when they end.
func TestStreamsThatWaitAreFreedWhenTheyEnd(t *testing.T) {
	p := newPeer(t, newWire(), server, h2.Config{})
	first := p.open()
	first.Writev(make([]byte, 65535)) // the whole window
	var ended []weak.Pointer[h2.Stream]
	for range 100 {
		st := p.open()
		st.Writev([]byte("x"))
		ended = append(ended, weak.Make(st))
		p.send(rst(st.ID(), http2.ErrCodeCancel))
	}
	p.frames()
	waitFor(t, func() bool {
		runtime.GC()
		return !slices.ContainsFunc(ended, func(st weak.Pointer[h2.Stream]) bool { return st.Value() != nil })
	})
	first.Writev([]byte("y"))
	p.send(windowUpdate(0, 10), windowUpdate(1, 10))
	p.gets(`DATA 1 "y"`)
}

// While the peer takes nothing, what ended streams have queued is given back all the same.
func TestWhatEndedStreamsHaveQueuedIsFreed(t *testing.T) {
	for _, waits := range []bool{false, true} {
		w := newWire()
		w.waits = waits
		p := newPeer(t, w, server, h2.Config{})
		p.frames()
		first := p.open()
		w.room = 0
		p.send(windowUpdate(0, 1<<20), windowUpdate(1, 1<<20))
		first.Writev(make([]byte, 300<<10)) // now the carrier is full
		p.send(ping("12345678"))            // an answer waits
		lent := buffer.Lent()
		for range 50 {
			st := p.open()
			st.Writev(make([]byte, 60<<10))
			p.send(rst(st.ID(), http2.ErrCodeCancel))
		}
		if got := buffer.Lent(); got > lent+5 { // they are counted under the race detector
			t.Errorf("%d buffers more are in use", got-lent)
		}
	}
}

// The reason is told also if there is no stream.
func TestASessionWithoutStreamsThatCannotSendEnds(t *testing.T) {
	p := newSilentPeer(t, newWire(), client, h2.Config{})
	p.wire.failure = syscall.EPIPE
	p.send(settings())
	p.wire.viewErr = io.EOF
	p.wire.turn()
	if err := p.session.Err(); !errors.Is(err, syscall.EPIPE) || !p.wire.closed {
		t.Errorf("the end is %v", err)
	}
}

// When the carrier can't send any more, what has arrived is received, and then the Session ends: the peer
// would wait for what was lost.
func TestASessionThatCannotSendEnds(t *testing.T) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprint("queues: ", !waits), func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			p.wire.waits = waits
			idle, pushed, writer := p.open(), p.record(p.open()), p.open()
			opening, _ := p.session.Open(connect, true)
			p.wire.view = p.bytes(data(idle.ID(), "abc"), data(pushed.st.ID(), "def"))
			p.wire.failure = syscall.EPIPE
			writer.Writev([]byte("lost"))
			p.wire.run()
			if view, err := idle.View(); string(view) != "abc" || err != nil {
				t.Errorf("View: %q, %v", view, err)
			}
			idle.Consume(3)
			if _, err := idle.View(); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("then %v", err)
			}
			if len(pushed.events) != 2 || pushed.events[0] != `"def"` || !strings.Contains(pushed.events[1], "broken pipe") {
				t.Errorf("the Receiver got %q", pushed.events)
			}
			if _, err := opening.Head(t.Context()); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Head: %v", err)
			}
			if err := writer.Writev([]byte("x")); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Writev: %v", err)
			}
			if err := p.session.Err(); !errors.Is(err, syscall.EPIPE) || p.session.Streams() != 0 || !p.wire.closed {
				t.Errorf("the end is %v", err)
			}
		})
	}
}

// What a turn of the carrier sends is written behind, by one call. What is sent at other times is not.
func TestOnlyATurnWritesBehind(t *testing.T) {
	for _, batches := range []bool{false, true} {
		p := newPeer(t, newWire(), server, h2.Config{})
		p.wire.batches = batches
		st := p.open()
		p.frames()
		turns := 0
		if batches {
			turns = 1
		}
		p.wire.behind = 0
		p.send(ping("01234567"), ping("76543210"))
		p.gets(`PING ACK "01234567"`, `PING ACK "76543210"`)
		if p.wire.behind != turns {
			t.Errorf("batches %v: a turn makes %d calls of WriteBehind", batches, p.wire.behind)
		}
		p.wire.behind = 0
		st.Writev([]byte("outside"))
		p.gets(`DATA 1 "outside"`)
		if p.wire.behind > 0 {
			t.Errorf("batches %v: a write outside of a turn makes %d calls of WriteBehind", batches, p.wire.behind)
		}
	}
}
