package h2_test

import (
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/h2"
)

func TestSizeOfAStream(t *testing.T) {
	var st h2.Stream
	want := uintptr(144)
	if unsafe.Sizeof(uintptr(0)) == 4 {
		want = 100
	}
	if got := unsafe.Sizeof(st); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

// After traffic, a stream has neither a goroutine nor a buffer, and a Session no more than before.
func TestIdleStreamsHaveNothing(t *testing.T) {
	const streams = 1000
	eachCarrier(t, func(t *testing.T, c carrier) {
		client, _, accepted := c.sessions(t, h2.Config{}, h2.Config{MaxStreams: streams})
		first, far := open(t, client, accepted)
		far.Push(newEcho(far))
		first.Writev([]byte("x"))
		readFull(t, first, 1)
		time.Sleep(10 * time.Millisecond) // goroutines of the carrier come and go
		goroutines, lent := runtime.NumGoroutine(), buffer.Lent()
		for range streams - 1 {
			a, b := open(t, client, accepted)
			b.Push(newEcho(b))
			a.Writev(make([]byte, 2000))
			readFull(t, a, 2000)
			a.SetReadDeadline(noTime)
		}
		waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines && buffer.Lent() <= lent })
	})
}

// Memory of a stream that is idle after an echo, as README and docs say. Maps and allocators round up.
func TestMemoryOfAnIdleStream(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector takes memory, too")
	}
	const streams, most = 10_000, 800 // bytes, both ends together
	c := carrier{factory: carriers["epoll"]}
	client, _, accepted := c.sessions(t, h2.Config{}, h2.Config{MaxStreams: streams + 1})
	client.Settings(t.Context())
	all := make([]*h2.Stream, 0, 2*streams)
	before := liveHeap()
	for range streams {
		a, b := open(t, client, accepted)
		all = append(all, a, b)
		a.Writev([]byte("abc"))
		readFull(t, b, 3)
		b.SetReadDeadline(noTime)
	}
	if got := (liveHeap() - before) / streams; got > most {
		t.Errorf("%d bytes", got)
	}
	runtime.KeepAlive(all)
}

func liveHeap() int {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestEchoesDoNotAllocate(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{1, 100, 10_000, 100_000} {
		t.Run(fmt.Sprint("pulled, ", size), func(t *testing.T) {
			client, _, accepted := carrier{factory: carriers["epoll"]}.sessions(t, h2.Config{}, h2.Config{})
			a, b := open(t, client, accepted)
			go func() {
				buf := make([]byte, size)
				for {
					if _, err := io.ReadFull(b, buf); err != nil || b.Writev(buf) != nil {
						return
					}
				}
			}()
			payload := make([]byte, size)
			checkAllocs(t, func() {
				a.Writev(payload)
				if _, err := io.ReadFull(a, payload); err != nil {
					t.Error(err)
				}
			})
		})
		t.Run(fmt.Sprint("pushed, ", size), func(t *testing.T) {
			client, _, accepted := carrier{factory: carriers["epoll"]}.sessions(t, h2.Config{}, h2.Config{})
			a, b := open(t, client, accepted)
			b.Push(newEcho(b))
			got := make(chan bool, 1)
			left := size
			a.Push(&pickyReceiver{st: a, take: func(view []byte) int {
				if left -= len(view); left == 0 {
					left = size
					got <- true
				}
				return len(view)
			}})
			timeout := time.After(patience)
			payload := make([]byte, size)
			checkAllocs(t, func() {
				a.Writev(payload)
				select {
				case <-got:
				case <-timeout:
					t.Error("no echo")
				}
			})
		})
	}
}

// checkAllocs fails the test if f allocates on average.
func checkAllocs(t *testing.T, f func()) {
	t.Helper()
	for range 100 {
		f()
	}
	if allocs := testing.AllocsPerRun(1000, f); allocs >= 1 {
		t.Errorf("%v allocations", allocs)
	}
}
