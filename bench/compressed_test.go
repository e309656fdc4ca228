package bench

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/bench/feed"
	"github.com/seed004e8d11/websock/bench/memory"
)

// BenchmarkCompressedReceive receives compressed messages, as many at once as fit in one read.
func BenchmarkCompressedReceive(b *testing.B) { perCompressor(b, memory.Client.Receive) }

// BenchmarkCompressedReply receives compressed messages and echoes each. written/op is the size of a
// message on the wire.
func BenchmarkCompressedReply(b *testing.B) { perCompressor(b, memory.Client.Reply) }

// perCompressor measures work for every contestant that compresses, at the fastest level, with windows of
// 32 KiB.
func perCompressor(b *testing.B, work func(memory.Client) error) {
	for _, takeover := range []bool{true, false} {
		requested := websock.Compression{Level: 1, SendTakeover: takeover, RecvTakeover: takeover}
		for _, size := range []int{1 << 10, 16 << 10} {
			messages := feed.Messages(256, size)
			for _, contestant := range memory.Contestants {
				if contestant.Compresses == memory.Never || contestant.Compresses == memory.WithoutTakeover && takeover {
					continue
				}
				b.Run(fmt.Sprintf("takeover=%v/size=%d/by=%s", takeover, size, contestant.Name), func(b *testing.B) {
					network := memory.NewCompressed(messages, b.N, takeover, 15)
					client, err := contestant.Dial(network, memory.Work{Op: websock.OpBinary, Payload: messages[0], Times: b.N, Compression: requested})
					if err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					b.SetBytes(int64(size))
					b.ResetTimer()
					if err := work(client); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(network.Written)/float64(b.N), "written/op")
				})
			}
		}
	}
}

// idleConns is the number of connections that are measured at once.
const idleConns = 100

// BenchmarkCompressedIdle measures the heap memory of an idle connection with context takeover, after
// enough messages to fill both windows, and how much of it is for compression. It excludes the memory
// of the socket, but includes most of that of the server in the same process. Use -benchtime 1x.
func BenchmarkCompressedIdle(b *testing.B) {
	for _, bits := range []int{15, 11} {
		messages := feed.Messages(256, 1<<10)
		requested := websock.Compression{Level: 1, SendTakeover: true, RecvTakeover: true, SendWindowBits: bits, RecvWindowBits: bits}
		work := memory.Work{Op: websock.OpBinary, Payload: messages[0], Times: len(messages), Compression: requested}
		for _, c := range memory.Contestants {
			if c.Compresses != memory.WithTakeover || c.Name == "coder" && bits < 15 { // it supports one window only
				continue
			}
			b.Run(fmt.Sprintf("window=%d/by=%s", bits, c.Name), func(b *testing.B) {
				work := work
				network := memory.NewCompressed(messages, len(messages), true, bits)
				idleHeap(b, c, work, network) // so that one-time allocations don't count
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

// silent measures the cost of a connection without a client.
var silent = memory.Contestant{Name: "silent"}

// idleHeap returns the heap memory of idle connections and their servers.
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

// settle waits until no more bytes arrive.
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
	for range 3 { // pools are emptied in two steps
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
