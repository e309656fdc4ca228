package websock

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/mask"
)

var takeover = Compression{Level: 1, SendTakeover: true, RecvTakeover: true}

// rawFrame returns a frame that a peer sends to role, with reserved bits.
func rawFrame(role Role, op Opcode, fin bool, rsv uint8, payload string) []byte {
	h := Header{Fin: fin, Rsv: rsv, Opcode: op, Length: int64(len(payload))}
	p := []byte(payload)
	if role == Server {
		h.Masked = true
		h.Key = [4]byte{0x37, 0xfa, 0x21, 0x3d}
		mask.XOR(p, h.Key, 0)
	}
	return append(engine.AppendHeader(nil, h), p...)
}

// deflated returns a compressed message of one frame that a peer sends to role.
func deflated(role Role, op Opcode, payload string) []byte {
	return rawFrame(role, op, true, engine.RSV1, payload)
}

// A receiveWay receives messages until an error that isn't a timeout.
type receiveWay func(c *Conn, s *scriptTransport) (messages []string, err error)

// receivings returns all ways to receive messages.
func receivings() map[string]receiveWay {
	all := map[string]receiveWay{
		"RecvMessage": func(c *Conn, _ *scriptTransport) (messages []string, err error) {
			var msg []byte
			for {
				_, msg, err = c.RecvMessage(msg)
				switch {
				case err == nil:
					messages = append(messages, string(msg))
					msg = msg[:0]
				case !errors.Is(err, ErrTimeout):
					return messages, err
				}
			}
		},
		"NextReader": func(c *Conn, _ *scriptTransport) (messages []string, err error) {
			for {
				_, r, err := c.NextReader()
				if errors.Is(err, ErrTimeout) {
					continue
				}
				if err != nil {
					return messages, err
				}
				var msg []byte
				for err != io.EOF {
					var p []byte
					if p, err = io.ReadAll(r); err == nil {
						err = io.EOF
					} else if !errors.Is(err, ErrTimeout) {
						return messages, err
					}
					msg = append(msg, p...)
				}
				messages = append(messages, string(msg))
			}
		},
		"Handler": func(c *Conn, s *scriptTransport) (messages []string, err error) {
			if s.err == nil {
				s.err = io.EOF
			}
			var msg []byte
			r := &recorder{onData: func(_ *Conn, h Header, payload []byte) {
				msg = append(msg, payload...)
				if h.Fin && h.Remaining == 0 {
					messages = append(messages, string(msg))
					msg = msg[:0]
				}
			}}
			if err := c.SetHandler(r); err != nil {
				return nil, err
			}
			err = s.play()
			return messages, err
		},
		"Messages": func(c *Conn, s *scriptTransport) (messages []string, err error) {
			if s.err == nil {
				s.err = io.EOF
			}
			h := Messages(func(_ *Conn, _ Opcode, msg []byte) { messages = append(messages, string(msg)) }, nil)
			if err := c.SetHandler(h); err != nil {
				return nil, err
			}
			err = s.play()
			return messages, err
		},
	}
	for _, size := range []int{1, 7, 5000} {
		all[fmt.Sprint("RecvTimeout ", size)] = func(c *Conn, _ *scriptTransport) (messages []string, err error) {
			buf := make([]byte, size)
			var msg []byte
			for {
				h, n, err := c.RecvTimeout(buf, time.Millisecond)
				msg = append(msg, buf[:n]...)
				switch {
				case errors.Is(err, ErrTimeout):
				case err != nil:
					return messages, err
				case h.Opcode != OpNone && h.Fin && h.Remaining == 0:
					messages = append(messages, string(msg))
					msg = msg[:0]
				}
			}
		}
	}
	return all
}

// withTimeouts inserts a timeout before each chunk.
func withTimeouts(chunks [][]byte) (all [][]byte) {
	for _, c := range chunks {
		all = append(all, nil, c)
	}
	return all
}

// The messages of RFC 7692 section 7.2.3, and others like them.
var inflateTests = []struct {
	name    string
	payload string
	want    string
}{
	{"one block", "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"},
	{"a stored block", "\x00\x05\x00\xfa\xffHello\x00", "Hello"},
	{"a last block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},
	{"a last block, with nothing behind it", "\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello"},
	{"two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"},
	{"two last blocks", "\xf3\x48\x05\x00\xcb\xc9\xc9\x07\x00\x00", "Hello"},
	{"the tail was not cut off", "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", "Hello"},
	{"nothing in a block", "\x02\x00", ""},
	{"nothing in a stored block", "\x00", ""},
	{"nothing in no block", "", ""},
}

func TestCompressedMessagesAreInflatedHoweverTheyAreSplit(t *testing.T) {
	for _, test := range inflateTests {
		for _, role := range []Role{Client, Server} {
			t.Run(fmt.Sprintf("%s/%v", test.name, role), func(t *testing.T) {
				var streams [][]byte
				whole := deflated(role, OpText, test.payload)
				streams = append(streams, append(whole, deflated(role, OpText, test.payload)...))
				fragments := rawFrame(role, OpText, false, engine.RSV1, "")
				for i := range len(test.payload) {
					fragments = append(fragments, rawFrame(role, OpPing, true, 0, "between")...)
					fragments = append(fragments, rawFrame(role, OpContinuation, false, 0, test.payload[i:i+1])...)
				}
				fragments = append(fragments, rawFrame(role, OpContinuation, true, 0, "")...)
				streams = append(streams, append(clone(fragments), fragments...))
				for _, stream := range streams {
					for name, receive := range receivings() {
						for cut, chunks := range map[string][][]byte{"whole": {clone(stream)}, "every byte": everyByte(clone(stream)), "timeouts": withTimeouts(everyByte(clone(stream)))} {
							if cut == "timeouts" && (name == "Handler" || name == "Messages") {
								continue // where a timeout is the end
							}
							c, s := newCompressing(role, takeover, Limits{}, chunks...)
							messages, err := receive(c, s)
							if len(messages) != 2 || messages[0] != test.want || messages[1] != test.want || !errors.Is(err, io.ErrUnexpectedEOF) {
								t.Errorf("%s, %s: %q, %v", name, cut, messages, err)
							}
						}
					}
				}
			})
		}
	}
}

func TestTakeoverRefersToEarlierMessages(t *testing.T) {
	stream := append(deflated(Client, OpText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), deflated(Client, OpText, "\xf2\x00\x11\x00\x00")...)
	for name, receive := range receivings() {
		c, s := newCompressing(Client, takeover, Limits{}, everyByte(clone(stream))...)
		if messages, _ := receive(c, s); strings.Join(messages, " ") != "Hello Hello" {
			t.Errorf("%s: %q", name, messages)
		}
		c, s = newCompressing(Client, Compression{Level: 1}, Limits{}, clone(stream))
		if messages, err := receive(c, s); strings.Join(messages, " ") != "Hello" || err != errNotDeflated {
			t.Errorf("%s, without takeover: %q, %v", name, messages, err)
		}
	}
}

func TestUncompressedMessagesAreNotInTheHistory(t *testing.T) {
	stream := append(deflated(Client, OpText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), frames(Client, "text between")...)
	stream = append(stream, deflated(Client, OpText, "\xf2\x00\x11\x00\x00")...)
	for name, receive := range receivings() {
		c, s := newCompressing(Client, takeover, Limits{}, clone(stream))
		if messages, _ := receive(c, s); strings.Join(messages, " ") != "Hello between Hello" {
			t.Errorf("%s: %q", name, messages)
		}
	}
}

func TestInvalidCompressionEndsTheConnection(t *testing.T) {
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00"
	concat := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	for _, test := range []struct {
		name   string
		z      Compression
		stream func(role Role) []byte
		want   error
	}{
		{"compressed, though that was not agreed", Compression{}, func(r Role) []byte { return deflated(r, OpText, hello) }, errReservedBits},
		{"RSV1 in a continuation", takeover, func(r Role) []byte {
			return concat(rawFrame(r, OpText, false, engine.RSV1, hello[:3]), rawFrame(r, OpContinuation, true, engine.RSV1, hello[3:]))
		}, errReservedBits},
		{"RSV1 in a continuation of an uncompressed message", takeover, func(r Role) []byte {
			return concat(rawFrame(r, OpText, false, 0, "a"), rawFrame(r, OpContinuation, true, engine.RSV1, hello))
		}, errReservedBits},
		{"RSV1 in a ping", takeover, func(r Role) []byte { return rawFrame(r, OpPing, true, engine.RSV1, "") }, errReservedBits},
		{"RSV1 in a close frame", takeover, func(r Role) []byte { return rawFrame(r, OpClose, true, engine.RSV1, "") }, errReservedBits},
		{"RSV2", takeover, func(r Role) []byte { return rawFrame(r, OpText, true, 2, hello) }, errReservedBits},
		{"RSV1 and RSV3", takeover, func(r Role) []byte { return rawFrame(r, OpText, true, engine.RSV1|1, hello) }, errReservedBits},
		{"a new message inside a compressed one", takeover, func(r Role) []byte {
			return concat(rawFrame(r, OpText, false, engine.RSV1, hello[:3]), deflated(r, OpText, hello))
		}, errMessageUnfinished},
		{"a reserved kind of block", takeover, func(r Role) []byte { return deflated(r, OpBinary, "\x07") }, errNotDeflated},
		{"a distance before the first message", takeover, func(r Role) []byte { return deflated(r, OpBinary, "\xf2\x00\x11\x00\x00") }, errNotDeflated},
		{"the end amid a block", takeover, func(r Role) []byte { return deflated(r, OpBinary, hello[:4]) }, errNotDeflated},
		{"the end amid a stored block", takeover, func(r Role) []byte { return deflated(r, OpBinary, "\x00\x09\x00\xf6\xffHello") }, errNotDeflated},
		{"text that isn't UTF-8", takeover, func(r Role) []byte { return deflated(r, OpText, "\x00\x02\x00\xfd\xffa\xff\x00") }, errNotUTF8},
		{"text that isn't UTF-8, before what can't be inflated", takeover, func(r Role) []byte { return deflated(r, OpText, "\x00\x02\x00\xfd\xffa\xff\x07") }, errNotUTF8},
		{"text that ends amid a character", takeover, func(r Role) []byte { return deflated(r, OpText, "\x00\x02\x00\xfd\xffa\xc3\x00") }, errNotUTF8},
	} {
		for _, role := range []Role{Client, Server} {
			for name, receive := range receivings() {
				for cut, chunks := range map[string][][]byte{"whole": {test.stream(role)}, "every byte": everyByte(test.stream(role))} {
					c, s := newCompressing(role, test.z, Limits{}, chunks...)
					if messages, err := receive(c, s); len(messages) > 0 || err != test.want {
						t.Errorf("%s, %v, %s, %s: %q, %v; want %v", test.name, role, name, cut, messages, err, test.want)
						continue
					}
					if inflating := memoryInflating(c); inflating != 0 {
						t.Errorf("%s, %s: what was lent for inflating is kept", test.name, name)
					}
					want := test.want.(*ProtocolError)
					if got := unframe(role, s.out); !strings.HasPrefix(got, "close "+closePayload(want.Code, want.Rule)) {
						t.Errorf("%s: the peer was told %q", test.name, got)
					}
				}
			}
		}
	}
}

// memoryInflating returns how many bytes c holds to inflate the current message.
func memoryInflating(c *Conn) (inflating int) {
	if z := c.enc.Deflate(); z != nil {
		_, _, inflating = z.Memory()
	}
	return inflating
}

func TestErrorsOfCompressionNameTheirRFC(t *testing.T) {
	const want = "websock: protocol error: compressed message that can't be inflated (RFC 7692 section 7.2.2)"
	if errNotDeflated.Error() != want {
		t.Error(errNotDeflated)
	}
}

// The invalid byte is in the first fragment, and no other fragment follows.
func TestInflatedTextFailsAtTheFirstInvalidByte(t *testing.T) {
	stream := rawFrame(Client, OpText, false, engine.RSV1, "\x00\x09\x00\xf6\xffab\xff")
	for name, receive := range receivings() {
		c, s := newCompressing(Client, takeover, Limits{}, stream)
		if _, err := receive(c, s); err != errNotUTF8 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A message is inflated before its end has arrived.
func TestACompressedMessageIsInflatedAsItArrives(t *testing.T) {
	stream := sentBy(t, Server, takeover, func(c *Conn) {
		c.SendFrame(OpText, false, []byte("first part, "))
		c.SendFrame(OpContinuation, false, []byte("second part"))
	})
	c, _ := newCompressing(Client, takeover, Limits{}, stream, nil)
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if string(got) != "first part, second part" || !errors.Is(err, ErrTimeout) {
		t.Errorf("%q, %v", got, err)
	}
}

// compressed returns p as compressed by the standard library.
func compressed(t *testing.T, p []byte) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(p)
	w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func TestInflatedMessagesAreLimited(t *testing.T) {
	const size = 10 << 20
	bomb := deflated(Client, OpBinary, compressed(t, make([]byte, size)))
	if len(bomb) > size/1000 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for _, test := range []struct {
		limits Limits
		want   LimitError
		most   int // bytes delivered
	}{
		{Limits{InflationRatio: 200}, LimitError{Limit: "InflationRatio", Max: 200, Code: CloseMessageTooBig}, 1 << 20},
		{Limits{InflationRatio: 500}, LimitError{Limit: "InflationRatio", Max: 500, Code: CloseMessageTooBig}, 1 << 20},
		{Limits{InflatedSize: 100000}, LimitError{Limit: "InflatedSize", Max: 100000, Code: CloseMessageTooBig}, 100000},
		{Limits{MessageSize: 50000}, LimitError{Limit: "MessageSize", Max: 50000, Code: CloseMessageTooBig}, 50000},
		{Limits{InflatedSize: 2 << 20, InflationRatio: -1}, LimitError{Limit: "InflatedSize", Max: 2 << 20, Code: CloseMessageTooBig}, 2 << 20},
	} {
		for name, receive := range receivings() {
			c, s := newCompressing(Client, Compression{Level: 1}, test.limits, clone(bomb))
			_, err := receive(c, s)
			var limit *LimitError
			if !errors.As(err, &limit) || *limit != test.want {
				t.Errorf("%+v, %s: %v", test.limits, name, err)
			}
			if got := unframe(Client, s.out); !strings.HasPrefix(got, "close "+closePayload(CloseMessageTooBig, "limit "+test.want.Limit)) {
				t.Errorf("%+v, %s: the peer was told %q", test.limits, name, got)
			}
		}
		c, _ := newCompressing(Client, Compression{Level: 1}, test.limits, clone(bomb))
		_, msg, err := c.RecvMessage(nil)
		if len(msg) > test.most || cap(msg) > 2*test.most || err == nil {
			t.Errorf("%+v: %d bytes in %d before %v", test.limits, len(msg), cap(msg), err)
		}
	}
	for _, limits := range []Limits{{}, {InflationRatio: -1}} { // nothing is too much for either
		c, _ := newCompressing(Client, Compression{Level: 1}, limits, clone(bomb))
		if _, msg, err := c.RecvMessage(nil); len(msg) != size || err != nil {
			t.Errorf("%+v: %d bytes, %v", limits, len(msg), err)
		}
	}
}

// Incompressible payload is larger when compressed. It must be accepted nevertheless, up to a
// limit.
func TestCompressedPayloadMayBeALittleLargerThanAMessage(t *testing.T) {
	const size = 10000
	message := noise(rand.New(rand.NewPCG(1, 1)), size)
	stream := sentBy(t, Server, takeover, func(c *Conn) {
		c.SendFrame(OpBinary, false, message[:5000])
		c.SendFrame(OpContinuation, true, message[5000:])
	})
	if len(stream) <= size {
		t.Fatalf("%d bytes of %d", len(stream), size)
	}
	endlessTransport := rawFrame(Client, OpBinary, true, engine.RSV1, strings.Repeat("\x00\x00\x00\xff\xff", 30000))
	for name, receive := range receivings() {
		c, s := newCompressing(Client, takeover, Limits{MessageSize: size}, clone(stream))
		if messages, _ := receive(c, s); len(messages) != 1 || messages[0] != string(message) {
			t.Errorf("%s: %d messages came", name, len(messages))
		}
		c, s = newCompressing(Client, takeover, Limits{MessageSize: size}, clone(endlessTransport))
		var limit *LimitError
		if _, err := receive(c, s); !errors.As(err, &limit) || limit.Limit != "MessageSize" {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, s := newCompressing(Client, takeover, Limits{MessageSize: -1}, clone(endlessTransport))
	if messages, _ := receivings()["RecvMessage"](c, s); len(messages) != 1 || messages[0] != "" {
		t.Errorf("without a limit: %q", messages)
	}
}

func TestAHandlerThatPausesGetsTheRestOfAnInflatedMessage(t *testing.T) {
	want := document(rand.New(rand.NewPCG(1, 2)), 100000)
	stream := sentBy(t, Server, takeover, func(c *Conn) { c.SendText(want) })
	p := &pauseTransport{}
	p.view = stream
	c := NewConn(p, Client, Options{Compression: takeover})
	var got []byte
	calls := 0
	r := &recorder{onData: func(c *Conn, _ Header, payload []byte) {
		got = append(got, payload...)
		calls++
		c.Pause()
	}}
	if err := c.SetHandler(r); err != nil {
		t.Fatal(err)
	}
	for len(got) < len(want) {
		had := calls
		if err := p.receiver.Readable(); err != nil {
			t.Fatal(err)
		}
		if calls != had+1 {
			t.Fatalf("%d calls until the pause", calls-had)
		}
		c.Resume()
	}
	if !bytes.Equal(got, want) || calls < 2 {
		t.Errorf("%d bytes of %d in %d calls", len(got), len(want), calls)
	}
}
