package socket

import (
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func TestUnacknowledgedCountsWhatThePeerHasNotTaken(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("this system can't tell")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	raw, err := client.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	unacknowledged := func() (n int) {
		if err := raw.Control(func(fd uintptr) { n = Unacknowledged(int(fd)) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := unacknowledged(); n != 0 {
		t.Errorf("%d bytes before any was written", n)
	}
	client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err == nil { // until the peer's buffer and ours are full
		_, err = client.Write(make([]byte, 64<<10))
	}
	full := unacknowledged()
	if full == 0 {
		t.Fatal("nothing waits, but a write has to")
	}
	go func() {
		for buf := make([]byte, 64<<10); ; {
			if _, err := server.Read(buf); err != nil {
				return
			}
		}
	}()
	for end := time.Now().Add(time.Minute); unacknowledged() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d bytes still wait", unacknowledged(), full)
		}
	}
}
