package bench

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/bench/memory"
)

// idleConns is how many connections are measured at once.
const idleConns = 100

// BenchmarkCompressedIdle measures the memory on the heap of a connection with takeover in
// both directions, on which enough has gone back and forth to fill both windows and which is
// idle then, and how much of it is for compression. What the socket takes is left out, most of
// what the server takes in the same process isn't. Ask for one time.
func BenchmarkCompressedIdle(b *testing.B) {
	for _, bits := range []int{15, 11} {
		messages := feed(256, 1<<10)
		wished := websock.Compression{Level: 1, SendTakeover: true, RecvTakeover: true, SendWindowBits: bits, RecvWindowBits: bits}
		work := memory.Work{Op: websock.OpBinary, Payload: messages[0], Times: len(messages), Compression: wished}
		for _, c := range memory.Contestants {
			if c.Compresses != memory.WithTakeover || c.Name == "coder" && bits < 15 { // it has one window only
				continue
			}
			b.Run(fmt.Sprintf("window=%d/by=%s", bits, c.Name), func(b *testing.B) {
				work := work
				network := memory.NewCompressed(messages, len(messages), true, bits)
				idleHeap(b, c, work, network) // what is made once isn't counted
				without := idleHeap(b, silent, work, network)
				with := idleHeap(b, c, work, network)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric((with-without)/idleConns, "heap-bytes/conn")
				work.Compression = websock.Compression{}
				plain := idleHeap(b, c, work, memory.New(work.Op, work.Payload, work.Times, false))
				b.ReportMetric((with-plain)/idleConns, "for-compression/conn")
			})
		}
	}
}

// silent is what a connection costs whoever has it.
var silent = memory.Contestant{Name: "silent"}

// idleHeap returns what is on the heap for idle connections, with their servers.
func idleHeap(b *testing.B, c memory.Contestant, work memory.Work, network *memory.Network) float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	networks := make([]*memory.Network, idleConns)
	for i := range networks {
		networks[i] = network.Again()
	}
	before := heap()
	var conns []net.Conn
	var ends sync.WaitGroup
	for _, n := range networks {
		near, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, near, far)
		if c.Dial == nil {
			continue
		}
		ends.Go(func() { n.Serve(far) })
		work.Over = near
		client, err := c.Dial(n, work)
		if err != nil {
			b.Fatal(err)
		}
		ends.Go(func() { client.Reply() })
	}
	settle(networks)
	after := heap()
	runtime.KeepAlive(networks)
	for _, conn := range conns {
		conn.Close()
	}
	ends.Wait()
	return after - before
}

// settle waits until nothing is under way.
func settle(networks []*memory.Network) {
	for last := int64(-1); ; {
		served := int64(0)
		for _, n := range networks {
			served += n.Served.Load()
		}
		if served == last {
			return
		}
		last = served
		time.Sleep(300 * time.Millisecond)
	}
}

func heap() float64 {
	var m runtime.MemStats
	for range 3 { // pools let go in two steps
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
