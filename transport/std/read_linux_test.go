package std_test

import (
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/internal/readcount"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestFullSocketReadIsFollowedByLargerRead(t *testing.T) {
	near, far := netpair.Sockets(t, "unix")
	if _, err := far.Write(make([]byte, std.ReadSize+std.FullReadSize/2)); err != nil {
		t.Fatal(err)
	}
	want := []int{std.ReadSize, std.FullReadSize / 2}
	if got := viewSizes(t, std.New(near, nil), len(want)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestPushedMessageTakesOneRead(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	c := websock.NewConn(std.New(client, nil), websock.Client, websock.Options{})
	c.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
	readcount.WantOneEach(t, server, "\x81\x05Hello", 11, 2000)
}

// A goroutine begins with a stack of 2 KiB. If the calls from Recv to the system call needed a few
// bytes more, each connection would cost another 2 KiB.
func TestPullingGoroutineKeepsStack(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector needs more stack")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would shrink stacks
	var idle, pulling int
	for range 20 { // a thread that the runtime starts meanwhile has stacks, too
		if idle, pulling = stacksOfGoroutines(t); pulling <= idle+512 {
			return
		}
	}
	t.Errorf("the stack of a goroutine that pulls takes %d bytes, that of one that only waits %d", pulling, idle)
}

// stacksOfGoroutines returns how many bytes of stack a goroutine takes that waits for a channel, and one that pulls.
func stacksOfGoroutines(t *testing.T) (idle, pulling int) {
	const n = 200
	stop := make(chan struct{})
	var waiting sync.WaitGroup
	wait := func() { waiting.Go(func() { <-stop }) }
	runtime.GC()
	stacksOf(n+100*runtime.GOMAXPROCS(0), wait) // use up stacks of earlier tests, which would not be counted
	idle = stacksOf(n, wait)
	var conns []*websock.Conn
	for range n {
		near, far := netpair.Sockets(t, "unix")
		defer far.Close()
		if _, err := far.Write([]byte("\x81\x01x")); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, websock.NewConn(std.New(near, nil), websock.Client, websock.Options{}))
	}
	i := 0
	pulling = stacksOf(n, func() {
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
	t.Logf("%d bytes for a goroutine that waits for a channel, %d for one that pulls", idle, pulling)
	return idle, pulling
}

// drainWith receives, in a function with some variables on the stack.
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

// stacksOf returns how many bytes of stack n goroutines take, on average. start starts one.
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
