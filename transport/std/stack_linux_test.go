package std_test

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/std"
)

// A goroutine begins with a stack of 2 KiB. Were the calls from Recv down to the system some
// bytes deeper, each connection would cost 2 KiB more.
func TestAGoroutineThatPullsKeepsItsFirstStack(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector takes stack of its own")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would shrink stacks
	const n = 200
	stop := make(chan struct{})
	var waiting sync.WaitGroup
	wait := func() { waiting.Go(func() { <-stop }) }
	runtime.GC()
	stacksOf(n+100*runtime.GOMAXPROCS(0), wait) // use up stacks of earlier tests, which would not be counted
	idle := stacksOf(n, wait)
	var conns []*websock.Conn
	for range n {
		near, far := netpair.Sockets(t, "unix")
		if _, err := far.Write([]byte("\x81\x01x")); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, websock.NewConn(std.New(near, nil), websock.Client, websock.Options{}))
	}
	i := 0
	pulling := stacksOf(n, func() {
		c := conns[i]
		i++
		waiting.Go(func() {
			drainWith(c)
		})
	})
	close(stop)
	for _, c := range conns {
		c.Abort(nil)
	}
	waiting.Wait()
	t.Logf("%d bytes of a goroutine that waits for a channel, %d of one that pulls", idle, pulling)
	if pulling > idle+512 {
		t.Errorf("a goroutine that pulls has a stack of %d bytes, one that only waits of %d", pulling, idle)
	}
}

// drainWith receives in a function that has some variables of its own.
//
//go:noinline
func drainWith(c *websock.Conn) {
	buf := make([]byte, 16)
	var room [64]byte
	for {
		_, n, err := c.Recv(buf)
		if err != nil {
			return
		}
		room[int(buf[0])%len(room)] += byte(n)
		if room[n] == 99 {
			return
		}
	}
}

// stacksOf returns the memory for stacks that n goroutines take, on the average. start starts
// one.
func stacksOf(n int, start func()) int {
	before := stacks()
	for range n {
		start()
	}
	time.Sleep(100 * time.Millisecond) // until they wait
	return int(stacks()-before) / n
}

func stacks() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}
