package fuzz

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/bounds"
)

// compressionOf returns the settings that two fuzzed bytes stand for.
func compressionOf(how, bits byte) websock.Compression {
	return websock.Compression{
		Level:          1 + int(how>>2)%9,
		SendTakeover:   how&1 != 0,
		RecvTakeover:   how&2 != 0,
		SendWindowBits: 8 + int(bits%8),
		RecvWindowBits: 8 + int(bits>>3%8),
	}
}

// mirrored returns the settings of the peer.
func mirrored(z websock.Compression) websock.Compression {
	z.SendTakeover, z.RecvTakeover = z.RecvTakeover, z.SendTakeover
	z.SendWindowBits, z.RecvWindowBits = z.RecvWindowBits, z.SendWindowBits
	return z
}

const (
	// inflatedMost is the limit for the size of an inflated message.
	inflatedMost = 100_000

	// inflationMost is how many bytes deflate can make of one.
	inflationMost = 1032
)

// deflatedHello is "Hello" compressed, from RFC 7692 section 7.2.3.
const deflatedHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"

// FuzzInflate gives a Conn two compressed messages with fuzzed payloads, cut anywhere. Every way to
// receive must return the same messages and the same error, which must be a documented one. The
// first message must be what the standard library inflates, and no message may exceed the limits.
func FuzzInflate(f *testing.F) {
	for _, seed := range []string{
		deflatedHello, "\xf2\x00\x11\x00\x00", "\x00\x05\x00\xfa\xffHello\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
		"", "\x00", "\x02\x00", "\x07", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", bomb(),
	} {
		f.Add([]byte(seed), []byte(deflatedHello), []byte{1, 0, 2, 3}, true)
		f.Add([]byte(deflatedHello), []byte(seed), []byte{}, false)
	}
	f.Fuzz(func(t *testing.T, first, second, cuts []byte, server bool) {
		role := roleOf(server)
		var sent []byte
		for _, p := range [][]byte{first, second} {
			half := len(p) / 2
			sent = append(sent, compressedFrame(role, websock.OpBinary, false, p[:half])...)
			sent = append(sent, compressedFrame(role, websock.OpPing, true, nil)...)
			sent = append(sent, compressedFrame(role, websock.OpContinuation, true, p[half:])...)
		}
		var want *received
		for name, receive := range ways {
			s := &stream{}
			whole := bytes.Clone(sent)
			pieces(len(sent), cuts, func(from, to int) { s.pieces = append(s.pieces, whole[from:to:to]) })
			c := websock.NewConn(s, role, websock.Options{
				Limits:      websock.Limits{InflatedSize: inflatedMost},
				Compression: websock.Compression{Level: 1, RecvTakeover: true},
			})
			var got received
			bounds.Check(t, 3<<20+64*uint64(len(sent))+20*inflatedMost, func() { got = receive(t, c, s) })
			c.Close()
			checkInflated(t, name, got, first)
			if want == nil {
				want = &got
			} else if !slices.Equal(got.messages, want.messages) || !sameEnd(got.err, want.err) {
				t.Fatalf("%s: %v\nanother way: %v", name, got, *want)
			}
		}
	})
}

// bomb returns a payload that inflates to a thousand times its size.
func bomb() string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	return b.String()
}

func compressedFrame(role websock.Role, op websock.Opcode, fin bool, payload []byte) []byte {
	h := websock.Header{Fin: fin, Opcode: op, Length: int64(len(payload)), Masked: role == websock.Server}
	if op == websock.OpBinary {
		h.Rsv = 4
	}
	return append(engine.AppendHeader(nil, h), payload...) // the masking key is zero
}

// checkInflated checks the first message against the standard library, and all against the limits.
func checkInflated(t *testing.T, way string, got received, first []byte) {
	var broken *websock.ProtocolError
	var limit *websock.LimitError
	var closed *websock.CloseError
	if !errors.As(got.err, &broken) && !errors.As(got.err, &limit) && !errors.As(got.err, &closed) {
		t.Fatalf("%s: ended with %v", way, got.err)
	}
	for _, m := range got.messages {
		if len(m.payload) > inflatedMost {
			t.Fatalf("%s: a message of %d bytes", way, len(m.payload))
		}
	}
	want, err := inflate(first)
	accepted := len(got.messages) > 0
	switch {
	case len(want) > inflatedMost:
		if accepted {
			t.Fatalf("%s: a message above the limit was accepted", way)
		}
	case err == nil: // there is a final block, after which another stream begins
		if accepted && !strings.HasPrefix(got.messages[0].payload, string(want)) {
			t.Fatalf("%s: %.100q, want %.100q", way, got.messages[0].payload, want)
		}
	case err == io.ErrUnexpectedEOF:
		if accepted && got.messages[0].payload != string(want) {
			t.Fatalf("%s: %.100q, want %.100q", way, got.messages[0].payload, want)
		}
		// It is complete if it ends within the header of a stored block.
		more, err := inflate(append(bytes.Clone(first), "\x01\x00\xfe\xff!\x01\x00\x00\xff\xff"...))
		if err == nil && string(more) == string(want)+"!" && !accepted {
			t.Fatalf("%s: no message but %v; want %.100q", way, got.err, want)
		}
	case accepted:
		t.Fatalf("%s: %.100q was accepted; the standard library returns %v", way, got.messages[0].payload, err)
	}
}

// inflate inflates a stream, which may be incomplete, with the standard library, up to a final
// block or just above the limit.
func inflate(stream []byte) ([]byte, error) {
	return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(stream)), inflatedMost+1))
}

// sameEnd reports whether both errors have the same text.
func sameEnd(a, b error) bool { return a.Error() == b.Error() }

// FuzzDeflate sends messages on a Conn in every way and with every setting, and receives them with
// another, cut anywhere. The messages must arrive as they were sent.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte("\x00\x10Hello, hello, hello\x01\x20again and again\x42\xff"), []byte{1, 0, 2}, byte(3), byte(0xff), true)
	f.Add([]byte("\x07\xffabcabcabc\x03\x80x\x02\x40y\x06\xffz"), []byte{}, byte(0x43), byte(3|3<<3), false)
	f.Add([]byte("\x0f\xffa\x0f\xffa\x0f\xffb"), []byte{7, 7, 7}, byte(0x23), byte(0), true)
	f.Fuzz(func(t *testing.T, script, cuts []byte, how, bits byte, server bool) {
		role, z := roleOf(server), compressionOf(how, bits)
		out := &stream{}
		sender := websock.NewConn(out, role, websock.Options{Compression: z})
		want := sendAll(t, sender, script)
		for name, receive := range ways {
			s := &stream{}
			whole := bytes.Clone(out.sent)
			pieces(len(whole), cuts, func(from, to int) { s.pieces = append(s.pieces, whole[from:to:to]) })
			c := websock.NewConn(s, 1-role, websock.Options{Compression: mirrored(z)})
			got := receive(t, c, s)
			c.Close()
			if !slices.Equal(got.messages, want) {
				t.Fatalf("%s: received %d messages, %.200v\nsent %d, %.200v\n%v", name, len(got.messages), got.messages, len(want), want, got.err)
			}
		}
		sender.Close()
	})
}

// sendAll sends the messages of a script. For each it has the way to send, a number of repetitions,
// and the length and bytes of what is repeated.
func sendAll(t *testing.T, c *websock.Conn, script program) (sent []message) {
	for range 20 {
		if script.ended() {
			break
		}
		kind, times := script.next(), int(script.next())
		if kind&8 != 0 {
			times *= 40
		}
		payload := bytes.Repeat(script.take(int(script.next()%32)), times)
		if err := sendOne(c, kind, payload); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, message{websock.OpBinary, string(payload)})
	}
	return sent
}

// sendOne sends one message in one of four ways.
func sendOne(c *websock.Conn, kind byte, payload []byte) error {
	switch kind % 4 {
	case 0:
		half := len(payload) / 2
		if err := c.SendFrame(websock.OpBinary, false, payload[:half]); err != nil {
			return err
		}
		if err := c.SendPing(nil); err != nil {
			return err
		}
		return c.SendFrame(websock.OpContinuation, true, payload[half:])
	case 1:
		w, err := c.NextWriter(websock.OpBinary)
		if err != nil {
			return err
		}
		if _, err := w.Write(payload); err != nil {
			return err
		}
		return w.Close()
	case 2:
		b, err := c.Reserve(len(payload))
		if err != nil {
			return err
		}
		copy(b.Bytes(), payload)
		return b.SendBinary(len(payload))
	}
	return c.SendBinary(payload)
}
