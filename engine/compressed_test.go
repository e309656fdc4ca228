package engine_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/frametest"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/mask"
)

// ends returns an Encoder, and a Decoder of its peer, that have negotiated c.
func ends(role Role, c Compression) (*Encoder, *Decoder) {
	peer, mirrored := Server, c
	if role == Server {
		peer = Client
	}
	mirrored.RecvTakeover, mirrored.RecvWindowBits = c.SendTakeover, c.SendWindowBits
	limits := Limits{}.WithDefaults()
	d := new(Decoder)
	d.Init(peer, &limits, NewPerMessageDeflate(mirrored))
	return NewEncoder(role, NewPerMessageDeflate(c)), d
}

// noise returns n bytes that can't be compressed.
func noise(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func TestCompressedMessagesRoundTripHoweverTheStreamIsSplit(t *testing.T) {
	messages := []encoded{
		{OpText, true, strings.Repeat("Hello, hello. ", 100), nil},
		{OpText, true, "short", nil},
		{OpBinary, true, noise(5000), nil},
		{OpPing, true, "p", nil},
		{OpText, false, strings.Repeat("grüß dich ", 30), nil},
		{OpPong, true, "", nil},
		{OpContinuation, false, "", nil},
		{OpContinuation, true, strings.Repeat("bis bald ", 2000), nil},
		{OpBinary, true, strings.Repeat("x", 100_000), nil},
		{OpBinary, true, "", nil},
		{OpText, true, strings.Repeat("Hello, hello. ", 100), nil},
	}
	var want []string
	for _, m := range messages {
		more := ""
		if !m.fin {
			more = "+"
		}
		want = append(want, fmt.Sprintf("%v%s %s", m.op, more, m.payload))
	}
	settings := []Compression{
		{Level: 1}, {Level: 6, Threshold: 100}, {Level: 1, SendTakeover: true}, {Level: 9, SendTakeover: true, SendWindowBits: 9},
		DefaultCompression,
	}
	for _, role := range []Role{Client, Server} {
		for _, c := range settings {
			for _, size := range []int{1, 7, 1000, 1 << 20} {
				e, d := ends(role, c)
				var stream []byte
				for _, m := range messages {
					var err error
					if stream, err = e.Append(stream, testKey, m.op, m.fin, []byte(m.payload)); err != nil {
						t.Fatal(err)
					}
				}
				events, err := decode(d, bytes.Clone(stream), size)
				if err != nil || strings.Join(events, "\n") != strings.Join(want, "\n") {
					t.Errorf("%v, %+v, in chunks of %d: %.300q, %v", role, c, size, events, err)
				}
				_, d = ends(role, c)
				events, err = decodeSteps(d, stream, size)
				if err != nil || strings.Join(events, "\n") != strings.Join(want, "\n") {
					t.Errorf("%v, %+v, with room for %d: %.300q, %v", role, c, size, events, err)
				}
				if before, after := e.Deflate().Sent(); after == 0 || before < 2*after {
					t.Errorf("%v, %+v: %d bytes became %d", role, c, before, after)
				}
				if sent, _, inflating := e.Deflate().Memory(); sent > 0 != c.SendTakeover || inflating > 0 {
					t.Errorf("%v, %+v: %d bytes of history, %d to inflate", role, c, sent, inflating)
				}
			}
		}
	}
}

func TestIncompressibleMessagesAreSentUncompressed(t *testing.T) {
	e, _ := ends(Server, Compression{Level: 1, Threshold: 10})
	for payload, compressed := range map[string]bool{noise(1000): false, "xxxxxxxxx": false, strings.Repeat("x", 1000): true} {
		frame, err := e.Append(nil, testKey, OpBinary, true, []byte(payload))
		if err != nil || frame[0]&(RSV1<<4) != 0 != compressed || len(frame) > e.FrameSize(len(payload)) {
			t.Errorf("%.10q: %x, %v", payload, frame[0], err)
		}
	}
	if e.CompressesMessage(9) || !e.CompressesMessage(10) || NewEncoder(Client, nil).CompressesMessage(1000) {
		t.Error("the threshold isn't kept")
	}
}

func TestAMessageCompressedOnceInflatesOnEveryConnection(t *testing.T) {
	c := Compression{Level: 1, SendTakeover: true}
	payload := []byte(strings.Repeat("for all of you ", 50))
	shared := c.Normal().AppendCompressed(nil, payload)
	for range 3 {
		e, d := ends(Server, c)
		stream, err := e.Append(nil, testKey, OpText, true, []byte(strings.Repeat("for one ", 50)))
		if err != nil {
			t.Fatal(err)
		}
		stream = e.AppendFrame(stream, testKey, OpText, true, RSV1, shared)
		e.Compressed(payload, len(shared))
		if stream, err = e.Append(stream, testKey, OpText, true, payload); err != nil {
			t.Fatal(err)
		}
		events, err := decode(d, stream, 100)
		if len(events) != 3 || events[1] != "text "+string(payload) || events[2] != events[1] || err != nil {
			t.Errorf("%q, %v", events, err)
		}
	}
}

// rawFrame returns a frame that a peer sends to role, with reserved bits.
func rawFrame(role Role, op Opcode, fin bool, rsv uint8, payload string) []byte {
	h := Header{Fin: fin, Rsv: rsv, Opcode: op, Length: int64(len(payload))}
	p := []byte(payload)
	if role == Server {
		h.Masked, h.Key = true, testKey
		mask.XOR(p, h.Key, 0)
	}
	return append(AppendHeader(nil, h), p...)
}

// deflated returns p as a whole message that compress/flate has compressed.
func deflated(t *testing.T, p string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(p)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func TestInvalidCompressedMessagesAreRefused(t *testing.T) {
	large := strings.Repeat("x", 3<<20)
	tests := map[string]struct {
		stream []byte
		limits Limits
		want   string // the rule, or the limit
	}{
		"not deflate":          {stream: rawFrame(Client, OpText, true, RSV1, "\xff\xff\xff"), want: "compressed message that can't be inflated"},
		"half of a message":    {stream: rawFrame(Client, OpText, true, RSV1, deflated(t, "Hello, hello, hello")[:8]), want: "compressed message that can't be inflated"},
		"text not UTF-8":       {stream: rawFrame(Client, OpText, true, RSV1, deflated(t, "a\xff")), want: "text that is not UTF-8"},
		"half of a code point": {stream: rawFrame(Client, OpText, true, RSV1, deflated(t, "a\xc3")), want: "text that is not UTF-8"},
		"a larger message":     {stream: rawFrame(Client, OpBinary, true, RSV1, deflated(t, large)), limits: Limits{MessageSize: 2 << 20}, want: "MessageSize"},
		"a larger inflated":    {stream: rawFrame(Client, OpBinary, true, RSV1, deflated(t, large)), limits: Limits{InflatedSize: 2 << 20}, want: "InflatedSize"},
		"a higher ratio":       {stream: rawFrame(Client, OpBinary, true, RSV1, deflated(t, large)), limits: Limits{InflationRatio: 100}, want: "InflationRatio"},
		"RSV1 on a continuation": {
			stream: append(rawFrame(Client, OpText, false, RSV1, ""), rawFrame(Client, OpContinuation, true, RSV1, "")...),
			want:   ErrReservedBits.Rule,
		},
	}
	for name, test := range tests {
		for _, size := range []int{1, 1000, len(test.stream)} {
			limits := test.limits.WithDefaults()
			z := NewPerMessageDeflate(Compression{Level: 1})
			d := new(Decoder)
			d.Init(Client, &limits, z)
			_, err := decode(d, test.stream, size)
			var limit *LimitError
			if errors.As(err, &limit) {
				if limit.Limit != test.want || limit.Code != CloseMessageTooBig {
					t.Errorf("%s in chunks of %d: %v", name, size, err)
				}
			} else if !frametest.Broke(err, test.want) {
				t.Errorf("%s in chunks of %d: %v, want %q", name, size, err, test.want)
			}
			if _, _, inflating := z.Memory(); inflating > 0 {
				t.Errorf("%s in chunks of %d: memory to inflate is kept", name, size)
			}
		}
	}
}

func TestCompressionSettingsHaveTheirNormalForm(t *testing.T) {
	for _, test := range []struct{ given, want Compression }{
		{Compression{}, Compression{}},
		{Compression{Level: -1, SendTakeover: true}, Compression{}},
		{Compression{Level: 10, Threshold: -1}, Compression{Level: 9, SendWindowBits: 15, RecvWindowBits: 15}},
		{Compression{Level: 1, SendWindowBits: 7, RecvWindowBits: 8}, Compression{Level: 1, SendWindowBits: 8, RecvWindowBits: 9}},
		{Compression{Level: 1, SendWindowBits: 16, RecvWindowBits: 20}, Compression{Level: 1, SendWindowBits: 15, RecvWindowBits: 15}},
	} {
		if got := test.given.Normal(); got != test.want {
			t.Errorf("%+v becomes %+v, want %+v", test.given, got, test.want)
		}
		z := NewPerMessageDeflate(test.given)
		if test.want.IsOff() != (z == nil) || z != nil && *z.Agreed() != test.want {
			t.Errorf("%+v: %+v", test.given, z)
		}
	}
	z := NewPerMessageDeflate(Compression{Level: 1})
	z.CountReceived(10, 100)
	z.CountReceived(1, 2)
	if before, after := z.Received(); before != 11 || after != 102 {
		t.Errorf("%d, %d", before, after)
	}
}

func TestEncoderAllocatesNothingForCompressedMessages(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector makes pools forget")
	}
	e := NewEncoder(Client, NewPerMessageDeflate(Compression{Level: 1}))
	msg := bytes.Repeat([]byte("Hello"), 1000)
	var frame []byte
	if n := testing.AllocsPerRun(100, func() { frame, _ = e.Append(frame[:0], testKey, OpText, true, msg) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestEmptyFragmentsOfCompressedMessagesStayEmpty(t *testing.T) {
	var e Encoder
	e.Init(Server, NewPerMessageDeflate(Compression{Level: 1}))
	if err := e.Accept(OpText, false, nil); err != nil {
		t.Fatal(err)
	}
	if rsv, p := e.Compress(nil, OpText, false, nil); rsv != RSV1 || len(p) != 0 {
		t.Errorf("the first fragment is %x with the reserved bits %x", p, rsv)
	}
}
