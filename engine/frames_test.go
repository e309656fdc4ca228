package engine

import (
	"fmt"
	"strings"

	"github.com/seed004e8d11/websock/mask"
)

// frame makes a frame as a peer sends it to role.
func frame(role Role, op Opcode, fin bool, payload string) []byte {
	h := Header{Fin: fin, Opcode: op, Length: int64(len(payload))}
	p := []byte(payload)
	if role == Server {
		h.Masked = true
		h.Key = [4]byte{0x37, 0xfa, 0x21, 0x3d}
		mask.XOR(p, h.Key, 0)
	}
	return append(AppendHeader(nil, h), p...)
}

// frames makes a stream from a text such as "text+ Hel; ping x; cont lo": opcodes
// with a plus when more fragments follow, and payloads.
func frames(role Role, script string) []byte {
	var stream []byte
	for part := range strings.SplitSeq(script, "; ") {
		name, payload, _ := strings.Cut(part, " ")
		name, more := strings.CutSuffix(name, "+")
		op, ok := map[string]Opcode{
			"cont": OpContinuation, "text": OpText, "bin": OpBinary,
			"close": OpClose, "ping": OpPing, "pong": OpPong,
		}[name]
		if !ok {
			panic("no such frame: " + name)
		}
		stream = append(stream, frame(role, op, !more, payload)...)
	}
	return stream
}

// unframe turns what role has sent into the same notation.
func unframe(role Role, sent []byte) string {
	var parts []string
	for len(sent) > 0 {
		h, n, err := ParseHeader(sent)
		if err != nil || n == 0 || int64(len(sent)-n) < h.Length {
			return strings.Join(append(parts, fmt.Sprintf("bad frame %x: %v", sent, err)), "; ")
		}
		if h.Masked != (role == Client) {
			return strings.Join(append(parts, "wrongly masked"), "; ")
		}
		payload := clone(sent[n : n+int(h.Length)])
		if h.Masked {
			mask.XOR(payload, h.Key, 0)
		}
		name := map[Opcode]string{
			OpContinuation: "cont", OpText: "text", OpBinary: "bin",
			OpClose: "close", OpPing: "ping", OpPong: "pong",
		}[h.Opcode]
		if !h.Fin {
			name += "+"
		}
		parts = append(parts, strings.TrimSuffix(name+" "+string(payload), " "))
		sent = sent[n+int(h.Length):]
	}
	return strings.Join(parts, "; ")
}

// closePayload is the payload of a close frame, as a string.
func closePayload(code CloseCode, reason string) string {
	return string(AppendClose(nil, code, reason))
}
