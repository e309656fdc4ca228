package std_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

// reads returns how many read calls this process has made.
func reads(t *testing.T) (n int) {
	t.Helper()
	counters, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("this kernel doesn't count system calls:", err)
	}
	for line := range strings.Lines(string(counters)) {
		fmt.Sscanf(line, "syscr: %d", &n)
	}
	return n
}

func TestAPushedMessageTakesOneRead(t *testing.T) {
	const messages = 2000
	client, server := netpair.Sockets(t, "tcp")
	file, err := server.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	peer := int(file.Fd()) // blocks; recvfrom and sendto don't count as reads
	c := websock.NewConn(std.New(client, nil), websock.Client, websock.Options{})
	c.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
	echo := make([]byte, 100)
	before := reads(t)
	for range messages {
		if err := syscall.Sendto(peer, []byte("\x81\x05Hello"), 0, nil); err != nil {
			t.Fatal(err)
		}
		if n, _, err := syscall.Recvfrom(peer, echo, 0); n != 11 || err != nil {
			t.Fatal(n, err)
		}
	}
	if made := reads(t) - before; made > messages*11/10 {
		t.Errorf("%d reads for %d messages", made, messages)
	}
}
