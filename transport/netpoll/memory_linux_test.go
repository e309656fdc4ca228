//go:build amd64 || arm64 || loong64

package netpoll

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/race"
)

// The process that holds the connections is started by the test with these.
const (
	holderPeer = "NETPOLL_TEST_PEER" // address to connect to
	holderSize = "NETPOLL_TEST_SIZE" // of netpoll's buffers; empty: its default
)

const (
	connections = 200
	burst       = 4096 << 10
)

// resident returns the resident memory of this process, in bytes.
func resident() (pages int) {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // what a pool kept through the first collection
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	fmt.Sscan(strings.Fields(string(stat))[1], &pages)
	return pages * os.Getpagesize()
}

// holdConnections is the process that is measured: it prints the bytes of memory per
// idle connection, before and after each has received a burst.
func holdConnections(peer, size string) {
	if size != "" {
		n := 0
		fmt.Sscan(size, &n)
		netpoll.Configure(netpoll.Config{BufferSize: n})
		netpoll.LinkBufferCap = n
	}
	if os.Getenv("INLINE") != "" { netpoll.SetRunner(func(_ context.Context, f func()) { f() }) }
	var received sync.WaitGroup
	handler := engine.Messages(func(*engine.Conn, engine.Opcode, []byte) { received.Done() }, nil)
	conns := make([]*engine.Conn, connections)
	connect := func() *engine.Conn {
		conn, err := net.Dial("tcp", peer)
		if err != nil {
			panic(err)
		}
		t, err := Transport().Attach(conn, nil)
		if err != nil {
			panic(err)
		}
		c := engine.NewConn(t, engine.Options{Role: engine.Client})
		c.SetHandler(handler)
		return c
	}
	first := connect() // the poller, and what is allocated once
	before := resident()
	for i := range conns {
		conns[i] = connect()
	}
	ask := func(text string) int {
		received.Add(connections)
		for _, c := range conns {
			c.SendText([]byte(text))
		}
		received.Wait()
		time.Sleep(100 * time.Millisecond)
		return (resident() - before) / connections
	}
	fmt.Println((resident()-before)/connections, ask("small"), ask("burst"), ask("small"), runtime.NumGoroutine())
	runtime.KeepAlive(conns)
	runtime.KeepAlive(first)
}

// answerWithABurst is the peer: it sends a burst on whichever connection something
// comes.
func answerWithABurst(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	message := append(engine.AppendHeader(nil, engine.Header{Fin: true, Opcode: engine.OpBinary, Length: burst}), make([]byte, burst)...)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var frame [11]byte // masked, with five bytes of text
				for {
					if _, err := io.ReadFull(conn, frame[:]); err != nil {
						return
					}
					if frame[6]^frame[2] == 'b' {
						conn.Write(message)
					} else {
						conn.Write([]byte("\x81\x05small"))
					}
				}
			}()
		}
	}()
	return l
}

func TestMemoryOfAnIdleConnection(t *testing.T) {
	if race.Enabled || testing.Short() {
		t.Skip("measures the memory of many connections")
	}
	for size := range map[string]int{"": 13 << 10, "512": 5 << 10} {
		l := answerWithABurst(t)
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), holderPeer+"="+l.Addr().String(), holderSize+"="+size)
		cmd.Stderr = os.Stderr
		out, _ := cmd.Output()
		l.Close()
		t.Log(string(out))
	}
}
