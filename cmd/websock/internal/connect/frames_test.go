package connect

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// frame returns an unmasked frame.
func frame(fin bool, op websock.Opcode, payload string) []byte {
	return append(engine.AppendHeader(nil, websock.Header{Fin: fin, Opcode: op, Length: int64(len(payload))}), payload...)
}

func TestFramesAreLoggedHoweverTheyAreSplit(t *testing.T) {
	masked := []byte{0x81, 0x85, 1, 2, 3, 4, 'h' ^ 1, 'e' ^ 2, 'l' ^ 3, 'l' ^ 4, 'o' ^ 1}
	long := strings.Repeat("x", maxShown-1) + "é" + strings.Repeat("y", 1000)
	for _, test := range []struct {
		bytes []byte
		want  string
	}{
		{frame(true, websock.OpText, "hello"), "< text, 5 bytes: \"hello\"\n"},
		{masked, "< text, 5 bytes, masked with 01020304: \"hello\"\n"},
		{frame(true, websock.OpText, ""), "< text, 0 bytes\n"},
		{frame(false, websock.OpText, "a\x1bb"), "< text, 3 bytes, to be continued: \"a\\x1bb\"\n"},
		{frame(true, websock.OpContinuation, "c"), "< continuation, 1 bytes: \"c\"\n"},
		{frame(true, websock.OpPing, "\xff"), "< ping, 1 bytes\n<   00000000  ff                                                |.|\n"},
		{frame(true, websock.OpBinary, "hi"), "< binary, 2 bytes\n<   00000000  68 69                                             |hi|\n"},
		{frame(true, websock.OpClose, "\x03\xe8bye"), "< close, 5 bytes: 1000 (normal closure) \"bye\"\n"},
		{frame(true, websock.OpClose, "\x03"), "< close, 1 bytes: 03\n"},
		{frame(true, websock.OpText, long), "< text, 1,257 bytes: \"" + long[:maxShown-1] + "\"\n<   and 1,001 bytes more\n"},
		{[]byte{0xC1, 1, 0x80}, "< text, 1 bytes, RSV 100\n<   00000000  80                                                |.|\n"},
		{[]byte{0x83, 0, 0x81, 0}, "< no frame: 83 00\n"},
	} {
		all := append(frame(true, websock.OpPong, "before"), test.bytes...)
		want := "< pong, 6 bytes: \"before\"\n" + test.want
		for step := 1; step <= len(all); step++ {
			var out bytes.Buffer
			l := frameLog{mark: "<", out: &out}
			for rest := all; len(rest) > 0; {
				n := min(step, len(rest))
				l.add(rest[:n])
				rest = rest[n:]
			}
			if out.String() != want {
				t.Fatalf("in steps of %d:\n%s, want\n%s", step, out.String(), want)
			}
		}
	}
}

func TestWhatHasComeOfAFrameIsLoggedInTheEnd(t *testing.T) {
	long := strings.Repeat("x", maxShown+9)
	for came, want := range map[string]string{
		"":     "< text, 1,000 bytes, of which 0 came\n",
		"half": "< text, 1,000 bytes, of which 4 came: \"half\"\n",
		long:   "< text, 1,000 bytes, of which 265 came: \"" + long[:maxShown] + "\"\n<   and 9 bytes more\n",
	} {
		var out bytes.Buffer
		client, server := net.Pipe()
		server.Close()
		c := &loggedConn{Conn: client, out: &out}
		c.log(false, engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpText, Length: 1000}))
		c.log(false, []byte(came))
		c.Close()
		c.Close()
		if out.String() != want {
			t.Errorf("%q: %s, want %s", came, out.String(), want)
		}
	}
}
