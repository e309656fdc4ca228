// Command devices simulates 50,000 devices, and the platform that they are connected to. Each device has
// an identity and a token, sends telemetry at intervals that vary, answers commands, leaves a last will
// with the platform, and says goodbye when it goes. They are connected in stages, at a limited rate; when
// the platform restarts, all of them come back at that rate, too.
//
//	go run ./examples/devices -listen 127.0.0.1:9000 -restart 2m
//	go run ./examples/devices -n 50000 -source 127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5 ws://127.0.0.1:9000/
//
// An address has ports for some 28,000 connections to one server, so there are several source addresses;
// on Linux all of 127.0.0.0/8 can be used. Each connection needs a file (ulimit -n) in both processes.
// With a lower limit, start several of both, the devices with different -first.
//
// What a device needs was measured with three of both, since a process there could have no more than
// 20,000 files; for i from 0 to 2:
//
//	go run ./examples/devices -listen 127.0.0.1:900$i
//	go run ./examples/devices -n 16667 -first $((16667*i)) -rate 1500 -source 127.0.0.$((2*i+2)),127.0.0.$((2*i+3)) ws://127.0.0.1:900$i/
//	grep VmRSS /proc/PID/status   # before the devices connect and afterwards
//
// Each device took 1.1 KB of heap and stacks, which the program prints, and 1.1 to 1.3 KB of resident
// memory; the platform took 2.5 to 2.7 KB for it, with what the garbage collector leaves free. The
// kernel's sockets come on top.
//
// Read fleet.go for the devices and platform.go for the server.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func main() {
	listen := flag.String("listen", "", "be the platform at this address, and not the devices")
	restart := flag.Duration("restart", 0, "how often the platform closes all connections")
	n := flag.Int("n", 50_000, "devices")
	first := flag.Int("first", 0, "number of the first device")
	rate := flag.Float64("rate", 1000, "handshakes a second")
	interval := flag.Duration("interval", time.Minute, "telemetry of a device")
	source := flag.String("source", "", "addresses to connect from, separated by commas")
	secret := flag.String("secret", "not a secret", "from which the tokens are made")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	var err error
	if *listen != "" {
		err = servePlatform(ctx, *listen, newPlatform([]byte(*secret), epoll.Transport()), *restart)
	} else {
		target := fanout.Target{URL: flag.Arg(0), Config: websock.Config{Transport: epoll.Transport()}}
		s := settings{targets: []fanout.Target{target}, secret: []byte(*secret), first: *first, rate: *rate, interval: *interval}
		if *source != "" {
			s.targets, err = from(target, strings.Split(*source, ","))
		}
		if err == nil {
			err = runFleet(ctx, s, *n)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
}

func from(t fanout.Target, sources []string) ([]fanout.Target, error) {
	var addrs []netip.Addr
	for _, source := range sources {
		addr, err := netip.ParseAddr(source)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return fanout.From(t, addrs...), nil
}

// runFleet connects a hundredth of the devices, then a tenth, then all, and prints counters until ctx
// ends.
func runFleet(ctx context.Context, s settings, n int) error {
	before := memory()
	f, err := startFleet(s)
	if err != nil {
		return err
	}
	if err := f.ramp(ctx, []int{max(n/100, 1), max(n/10, 1), n}, 5*time.Second); err == nil {
		log.Printf("%d bytes for each device", (memory()-before)/int64(n))
	} else if !errors.Is(err, context.Canceled) {
		log.Print(err)
	}
	everySecond(ctx, func() {
		log.Printf("%d devices connected, %d telemetry messages, %d commands answered",
			f.group.Count(fanout.Up), f.telemetry.Load(), f.commands.Load())
	})
	closing, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return f.close(closing)
}

func servePlatform(ctx context.Context, addr string, p *platform, restart time.Duration) error {
	server := &http.Server{Addr: addr, Handler: p}
	go func() {
		began := time.Now()
		everySecond(ctx, func() {
			p.command(100, "report")
			counts, devices := p.state()
			log.Printf("%d devices; so far %+v", devices, counts)
			if restart > 0 && time.Since(began) >= restart {
				began = time.Now()
				p.restart()
			}
		})
		server.Close()
		p.restart()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func everySecond(ctx context.Context, f func()) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// memory returns the bytes of the heap and the stacks that are in use. What the runtime and the system
// need besides is seen from outside, in /proc/PID/status for instance.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
