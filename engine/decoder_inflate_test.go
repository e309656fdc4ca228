package engine_test

import (
	"bytes"
	"strings"
	"testing"

	. "github.com/seed004e8d11/websock/engine"
)

func TestNextInflatesHoweverTheStreamIsCut(t *testing.T) {
	for name, z := range map[string]Compression{
		"takeover":    {Level: 1, SendTakeover: true, RecvTakeover: true},
		"no takeover": {Level: 6},
	} {
		for _, role := range []Role{Client, Server} {
			var stream []byte
			var messages []string
			e := NewEncoder(role, NewPerMessageDeflate(z))
			for _, message := range []string{strings.Repeat("Hello, ", 10000), "", "short", strings.Repeat("world ", 100)} {
				var err error
				if stream, err = e.Append(stream, [4]byte{1, 2, 3, 4}, OpText, true, []byte(message)); err != nil {
					t.Fatal(err)
				}
				messages = append(messages, message)
			}
			if len(stream) > 5000 {
				t.Fatalf("%s: nothing was compressed to %d bytes", name, len(stream))
			}
			for _, size := range []int{1, 7, 1000, len(stream)} {
				limits := Limits{}.WithDefaults()
				d := new(Decoder)
				d.Init(Client+Server-role, &limits, NewPerMessageDeflate(z))
				got, err := received(d, bytes.Clone(stream), size)
				if err != nil || strings.Join(got, "|") != strings.Join(messages, "|") {
					t.Errorf("%s, %v, in chunks of %d: %d messages, %v", name, role, size, len(got), err)
				}
			}
		}
	}
}

// received returns the messages of a stream that arrives in chunks.
func received(d *Decoder, stream []byte, size int) (messages []string, err error) {
	var message []byte
	for len(stream) > 0 {
		chunk := stream[:min(size, len(stream))]
		stream = stream[len(chunk):]
		for {
			e, n, err := d.Next(chunk)
			if err != nil {
				return messages, err
			}
			chunk = chunk[n:]
			if e.Kind == EventNone {
				break
			}
			message = append(message, e.Payload...)
			if e.Header.Fin && e.Header.Remaining == 0 {
				messages = append(messages, string(message))
				message = message[:0]
			}
		}
	}
	return messages, nil
}
