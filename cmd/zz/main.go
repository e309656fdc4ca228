package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"sync"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func rss() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	f, _ := os.Open("/proc/self/statm")
	defer f.Close()
	var a, b, c int64
	fmt.Fscan(f, &a, &b, &c)
	return (b - c) * 4096
}

func main() {
	n, _ := strconv.Atoi(os.Args[2])
	h := engine.Messages(func(*engine.Conn, engine.Opcode, []byte) {}, nil)
	conns := make([]*engine.Conn, n)
	dial := func(from, to int) {
		var wg sync.WaitGroup
		next := make(chan int)
		for range 16 {
			wg.Go(func() {
				for i := range next {
					c, err := websock.Dial(context.Background(), os.Args[1], &websock.Config{Transport: epoll.Transport(), Handler: h})
					if err != nil {
						panic(err)
					}
					conns[i] = c
				}
			})
		}
		for i := from; i < to; i++ {
			next <- i
		}
		close(next)
		wg.Wait()
	}
	dial(0, 100)
	before := rss()
	dial(100, n)
	after := rss()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Println("rss/conn", (after-before)/int64(n-100), "goroutines", runtime.NumGoroutine(), "heap inuse", m.HeapInuse/uint64(n), "alloc", m.HeapAlloc/uint64(n), "mspan", m.MSpanInuse/uint64(n), "sys", m.OtherSys/uint64(n), "mcache", m.GCSys/uint64(n))
	if len(os.Args) > 3 {
		f, _ := os.Create(os.Args[3])
		pprof.WriteHeapProfile(f)
		f.Close()
	}
}
