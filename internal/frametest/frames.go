package frametest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/mask"
)

// Frame makes a frame as a peer sends it to role.
func Frame(role engine.Role, op engine.Opcode, fin bool, payload string) []byte {
	h := engine.Header{Fin: fin, Opcode: op, Length: int64(len(payload))}
	p := []byte(payload)
	if role == engine.Server {
		h.Masked = true
		h.Key = [4]byte{0x37, 0xfa, 0x21, 0x3d}
		mask.XOR(p, h.Key, 0)
	}
	return append(engine.AppendHeader(nil, h), p...)
}

// Frames makes a stream from a text such as "text+ Hel; ping x; cont lo": opcodes
// with a plus when more fragments follow, and payloads.
func Frames(role engine.Role, script string) []byte {
	var stream []byte
	for part := range strings.SplitSeq(script, "; ") {
		name, payload, _ := strings.Cut(part, " ")
		name, more := strings.CutSuffix(name, "+")
		op, ok := map[string]engine.Opcode{
			"cont": engine.OpContinuation, "text": engine.OpText, "bin": engine.OpBinary,
			"close": engine.OpClose, "ping": engine.OpPing, "pong": engine.OpPong,
		}[name]
		if !ok {
			panic("no such frame: " + name)
		}
		stream = append(stream, Frame(role, op, !more, payload)...)
	}
	return stream
}

// Unframe turns what role has sent into the same notation.
func Unframe(role engine.Role, sent []byte) string {
	var parts []string
	for len(sent) > 0 {
		h, n, err := engine.ParseHeader(sent)
		if err != nil || n == 0 || int64(len(sent)-n) < h.Length {
			return strings.Join(append(parts, fmt.Sprintf("bad frame %x: %v", sent, err)), "; ")
		}
		if h.Masked != (role == engine.Client) {
			return strings.Join(append(parts, "wrongly masked"), "; ")
		}
		payload := bytes.Clone(sent[n : n+int(h.Length)])
		if h.Masked {
			mask.XOR(payload, h.Key, 0)
		}
		name := map[engine.Opcode]string{
			engine.OpContinuation: "cont", engine.OpText: "text", engine.OpBinary: "bin",
			engine.OpClose: "close", engine.OpPing: "ping", engine.OpPong: "pong",
		}[h.Opcode]
		if !h.Fin {
			name += "+"
		}
		parts = append(parts, strings.TrimSuffix(name+" "+string(payload), " "))
		sent = sent[n+int(h.Length):]
	}
	return strings.Join(parts, "; ")
}

// ClosePayload is the payload of a close frame, as a string.
func ClosePayload(code engine.CloseCode, reason string) string {
	return string(engine.AppendClose(nil, code, reason))
}
