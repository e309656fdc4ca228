package websock_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// An idle connection of a server is its Conn, that of the transport and its counts. Nothing of the HTTP
// server that accepted it may stay.
func TestAcceptedConnectionsKeepNothingOfTheHTTPServer(t *testing.T) {
	if race.Enabled || ^uint(0)>>32 == 0 {
		t.Skip("sizes are those of 64 bits without the race detector")
	}
	const most, conns = 440, 1000
	opts := &websock.AcceptOptions{
		Transport: epoll.Transport(),
		Handler:   websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, opts)
	})}
	go server.Serve(listener)
	defer server.Close()
	fds := make([]int, 0, 2*conns)
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	open := func(n int) {
		for range n {
			fds = append(fds, echoOnce(t, listener.Addr()))
		}
	}
	open(32)
	before := liveHeap()
	open(conns)
	each := func() int64 { return (liveHeap() - before) / conns }
	for end := time.Now().Add(20 * time.Second); each() > most; time.Sleep(10 * time.Millisecond) { // goroutines of the server may not have ended
		if time.Now().After(end) {
			t.Fatalf("%d bytes a connection, want at most %d", each(), most)
		}
	}
}

// echoOnce opens a connection on which the server echoes a message. It returns a descriptor, so that
// our end of the connection isn't on the heap.
func echoOnce(t *testing.T, server net.Addr) (fd int) {
	conn, err := net.Dial(server.Network(), server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	const frame = "\x82\x81\x00\x00\x00\x00a"
	if _, err := io.WriteString(conn, request+frame); err != nil {
		t.Fatal(err)
	}
	for answer := ""; !strings.HasSuffix(answer, "\r\n\r\n\x82\x01a"); {
		var p [256]byte
		n, err := conn.Read(p[:])
		if err != nil {
			t.Fatal(err)
		}
		answer += string(p[:n])
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	failed := raw.Control(func(ours uintptr) { fd, err = unix.FcntlInt(ours, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(failed, err); err != nil {
		t.Fatal(err)
	}
	return fd
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // pools are emptied in two steps
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
