package socket

import (
	"io"
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
	wrote := make(chan error, 1)
	go func() {
		_, err := client.Write(make([]byte, 64<<20)) // more than the peer's buffer and ours have room for
		wrote <- err
	}()
	become := func(waiting bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); unacknowledged() > 0 != waiting; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d bytes wait", unacknowledged())
			}
		}
	}
	become(true)
	go io.Copy(io.Discard, server)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	become(false)
}
