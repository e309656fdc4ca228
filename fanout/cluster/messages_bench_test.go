//go:build unix

package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// The benchmarks have their servers, a NATS server and a WebSocket server, in processes of their own.
// They report the CPU time of a message in this process and in that of the NATS server:
//
//	go test -run '^$' -bench 'Publish|Receive|Subscribe' -benchtime 200000x ./fanout/cluster
const (
	benchSlots = 2000
	benchSize  = 128
)

// BenchmarkPublish publishes what 2,000 slots receive. An operation is a message. "receive only" does
// nothing with it. "one key" has no slots: the messages are all there at the beginning. "nats.go" has none
// either, but publishes the same messages from one goroutine.
func BenchmarkPublish(b *testing.B) {
	for to, name := range map[PublishTo]string{ToNowhere: "receive only", ToCore: "core", ToJetStream: "JetStream"} {
		b.Run(name, func(b *testing.B) { benchmarkPublish(b, to) })
	}
	b.Run("JetStream, one key", func(b *testing.B) { benchmarkPublishOneKey(b, false) })
	b.Run("JetStream, one key, batches", func(b *testing.B) { benchmarkPublishOneKey(b, true) })
	b.Run("nats.go/core", benchmarkNATSPublish)
	b.Run("nats.go/core with headers", benchmarkNATSPublishMsg)
	b.Run("nats.go/JetStream", benchmarkNATSPublishAsync)
}

func benchmarkPublish(b *testing.B, to PublishTo) {
	n := startBenchServer(b, "nats")
	ws := startBenchServer(b, "websocket")
	var p *publisher
	if to != ToNowhere {
		p = startTestPublisher(b, connectNATS(b, n.addr), nil, Publish{To: to, Stream: &jetstream.StreamConfig{}})
	}
	var received atomic.Int64
	g := startBenchSlots(b, ws.addr, func(s *fanout.Slot, op websock.Opcode, msg []byte) {
		received.Add(1)
		if p != nil {
			p.receive(s, s.Key(), op, msg)
		}
	})
	perSlot := b.N/benchSlots + 1
	m := n.measure(b)
	g.Broadcast(websock.OpText, []byte(strconv.Itoa(perSlot)))
	waitUntil(b, "all messages are published", func() bool {
		if received.Load() < int64(perSlot*benchSlots) {
			return false
		}
		return p == nil || p.stats().Waiting == 0
	})
	m.report(perSlot * benchSlots)
	if p == nil {
		return
	}
	if s := p.stats(); s.Published != uint64(perSlot*benchSlots) {
		b.Errorf("%+v: want %d published", s, perSlot*benchSlots)
	}
}

func benchmarkPublishOneKey(b *testing.B, batches bool) {
	n := startBenchServer(b, "nats")
	p := startTestPublisher(b, connectNATS(b, n.addr), nil, Publish{
		To:     ToJetStream,
		Stream: &jetstream.StreamConfig{AllowBatchPublish: batches},
		Buffer: 1 << 30,
	})
	payload := make([]byte, benchSize)
	m := n.measure(b)
	for range b.N {
		p.receive(nil, "key", websock.OpText, payload)
	}
	waitPublished(b, p)
	m.report(b.N)
}

// startBenchSlots returns a Group whose slots are up. What is sent on one is how many messages it gets.
func startBenchSlots(b *testing.B, addr string, onMessage func(*fanout.Slot, websock.Opcode, []byte)) *fanout.Group {
	targets := fanout.URLs("ws://" + addr)
	targets[0].Config.Transport = epoll.Transport()
	g, err := fanout.Start(fanout.Options{
		Targets:   targets,
		Size:      benchSlots,
		Key:       func(number int) string { return "key-" + strconv.Itoa(number) },
		Pace:      fanout.Pace{Rate: -1, PerHost: 32},
		Ping:      -1,
		OnMessage: onMessage,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = g.Shutdown(ctx)
	})
	waitUntil(b, "all slots are up", func() bool { return g.Stats().Up == benchSlots })
	return g
}

func benchmarkNATSPublish(b *testing.B) {
	n := startBenchServer(b, "nats")
	c, subjects, payload := connectNATS(b, n.addr), benchSubjects("rx"), make([]byte, benchSize)
	m := n.measure(b)
	for i := range b.N {
		if err := c.Publish(subjects[i%benchSlots], payload); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		b.Fatal(err)
	}
	m.report(b.N)
}

func benchmarkNATSPublishMsg(b *testing.B) {
	n := startBenchServer(b, "nats")
	c, subjects, payload := connectNATS(b, n.addr), benchSubjects("rx"), make([]byte, benchSize)
	m := n.measure(b)
	for i := range b.N {
		msg := &nats.Msg{Subject: subjects[i%benchSlots], Header: nats.Header{TokenHeader: {"7"}}, Data: payload}
		if err := c.PublishMsg(msg); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		b.Fatal(err)
	}
	m.report(b.N)
}

func benchmarkNATSPublishAsync(b *testing.B) {
	n := startBenchServer(b, "nats")
	subjects, payload := benchSubjects("rx"), make([]byte, benchSize)
	js, err := jetstream.New(connectNATS(b, n.addr), jetstream.WithPublishAsyncMaxPending(DefaultInFlight))
	if err != nil {
		b.Fatal(err)
	}
	_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "test-rx", Subjects: []string{"test.rx.>"}})
	if err != nil {
		b.Fatal(err)
	}
	m := n.measure(b)
	for i := range b.N {
		msg := &nats.Msg{Subject: subjects[i%benchSlots], Data: payload, Header: nats.Header{
			TokenHeader:           {"7"},
			jetstream.MsgIDHeader: {"key." + strconv.Itoa(i)},
		}}
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	m.report(b.N)
}

func benchSubjects(direction string) (subjects []string) {
	for i := range benchSlots {
		subjects = append(subjects, "test."+direction+".key-"+strconv.Itoa(i))
	}
	return subjects
}

// BenchmarkReceive takes messages for 2,000 slots from NATS, and sends them. An operation is a message,
// which is published from a connection of its own; with "answered", by Send, from 64 goroutines. "send
// only" has no NATS. "nats.go" has one subscription for all subjects, whose callback counts.
func BenchmarkReceive(b *testing.B) {
	b.Run("send only", func(b *testing.B) {
		n := startBenchServer(b, "nats") // which does nothing
		g := startBenchSlots(b, startBenchServer(b, "websocket").addr, nil)
		payload := make([]byte, benchSize)
		m := n.measure(b)
		for i := range b.N {
			if err := g.Slot(i % benchSlots).SendText(payload); err != nil {
				b.Fatal(err)
			}
		}
		m.report(b.N)
	})
	b.Run("sent", func(b *testing.B) {
		n, r := startBenchReceiver(b)
		c, subjects, payload := connectNATS(b, n.addr), benchSubjects("tx"), make([]byte, benchSize)
		m := n.measure(b)
		publishBench(b, c, subjects, payload, func() int { return int(r.sent.Load()) })
		m.report(b.N)
		if s := r.stats(); s.Sent != uint64(b.N) {
			b.Errorf("%+v, want %d messages sent", s, b.N)
		}
	})
	b.Run("answered", func(b *testing.B) {
		n, r := startBenchReceiver(b)
		c, payload := connectNATS(b, n.addr), make([]byte, benchSize)
		m := n.measure(b)
		var next atomic.Int64
		var senders sync.WaitGroup
		for range 64 {
			senders.Go(func() {
				for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
					key := "key-" + strconv.FormatInt(i%benchSlots, 10)
					if err := Send(context.Background(), c, "test", key, websock.OpBinary, payload); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		senders.Wait()
		m.report(b.N)
		if s := r.stats(); s.Sent != uint64(b.N) {
			b.Errorf("%+v, want %d messages sent", s, b.N)
		}
	})
	b.Run("nats.go", func(b *testing.B) {
		n := startBenchServer(b, "nats")
		var received atomic.Int64
		c, subjects, payload := connectNATS(b, n.addr), benchSubjects("tx"), make([]byte, benchSize)
		if _, err := connectNATS(b, n.addr).Subscribe("test.tx.>", func(*nats.Msg) { received.Add(1) }); err != nil {
			b.Fatal(err)
		}
		m := n.measure(b)
		publishBench(b, c, subjects, payload, func() int { return int(received.Load()) })
		m.report(b.N)
	})
}

// publishBench publishes b.N messages, no more ahead of those that were received than are not refused.
func publishBench(b *testing.B, c *nats.Conn, subjects []string, payload []byte, received func() int) {
	const batch = receiveMessages / 4
	for i := range b.N {
		if i%batch == 0 {
			for received() < i-2*batch {
				time.Sleep(20 * time.Microsecond)
			}
		}
		if err := c.Publish(subjects[i%len(subjects)], payload); err != nil {
			b.Fatal(err)
		}
	}
	waitUntil(b, "all have come", func() bool { return received() >= b.N })
}

// startBenchReceiver returns a receiver for 2,000 slots, which are connected.
func startBenchReceiver(b *testing.B) (*benchServer, *receiver) {
	n := startBenchServer(b, "nats")
	ws := startBenchServer(b, "websocket")
	g := startBenchSlots(b, ws.addr, nil)
	var keys []string
	for i := range benchSlots {
		keys = append(keys, g.Slot(i).Key())
	}
	return n, startTestReceiver(b, connectNATS(b, n.addr), &tokens{of: map[string]uint64{"": 1}}, keys, sendWith(g))
}

// BenchmarkSubscribe subscribes 20,000 keys, and ends that. An operation is all of them.
func BenchmarkSubscribe(b *testing.B) {
	const keys = 20000
	n := startBenchServer(b, "nats")
	c := connectNATS(b, n.addr)
	r := startTestReceiver(b, c, &tokens{}, nil, nil)
	names := keysUpTo(keys)
	var opened, closed time.Duration
	var memory uint64
	for b.Loop() {
		before := heap()
		began := time.Now()
		for _, key := range names {
			r.open(key)
		}
		waitSubscribed(b, r, keys)
		opened += time.Since(began)
		memory += heap() - before
		began = time.Now()
		for _, key := range names {
			r.close(key)
		}
		waitSubscribed(b, r, 0)
		closed += time.Since(began)
	}
	b.ReportMetric(float64(opened.Milliseconds())/float64(b.N), "subscribe-ms")
	b.ReportMetric(float64(closed.Milliseconds())/float64(b.N), "unsubscribe-ms")
	b.ReportMetric(float64(memory)/float64(b.N)/keys, "B/key")
}

// heap returns how much of it is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A benchServer is a server in a process of its own.
type benchServer struct {
	addr  string
	input io.Writer
	lines *bufio.Scanner
}

const benchServerVar = "CLUSTER_BENCH_SERVER"

func startBenchServer(b *testing.B, kind string) *benchServer {
	c := exec.Command(os.Args[0], "-test.run", "^TestBenchServer$")
	c.Env = append(os.Environ(), benchServerVar+"="+kind, "CLUSTER_BENCH_DIR="+b.TempDir())
	c.Stderr = os.Stderr
	input, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		input.Close()
		_ = c.Wait()
	})
	s := &benchServer{input: input, lines: bufio.NewScanner(output)}
	s.addr = s.line(b)
	return s
}

func (s *benchServer) line(b *testing.B) string {
	if !s.lines.Scan() {
		b.Fatal("the server has ended")
	}
	return s.lines.Text()
}

// cpu returns the CPU time that the server has used.
func (s *benchServer) cpu(b *testing.B) time.Duration {
	fmt.Fprintln(s.input)
	d, err := time.ParseDuration(s.line(b))
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// A measurement is of the time and the CPU times from its beginning.
type measurement struct {
	b           *testing.B
	server      *benchServer
	began       time.Time
	own, remote time.Duration
}

func (s *benchServer) measure(b *testing.B) *measurement {
	runtime.GC()
	b.ResetTimer()
	return &measurement{b: b, server: s, began: time.Now(), own: cpuTime(), remote: s.cpu(b)}
}

func (m *measurement) report(messages int) {
	took, own, remote := time.Since(m.began), cpuTime()-m.own, m.server.cpu(m.b)-m.remote
	m.b.ReportMetric(0, "ns/op")
	m.b.ReportMetric(float64(messages)/took.Seconds(), "msg/s")
	m.b.ReportMetric(float64(own.Nanoseconds())/float64(messages), "cpu-ns/msg")
	m.b.ReportMetric(float64(remote.Nanoseconds())/float64(messages), "server-cpu-ns/msg")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestBenchServer is the process of a benchServer: it writes its address, and its CPU time after each
// line that it reads.
func TestBenchServer(t *testing.T) {
	var addr string
	switch os.Getenv(benchServerVar) {
	case "nats":
		addr = serveNATS(t, os.Getenv("CLUSTER_BENCH_DIR"))
	case "websocket":
		addr = serveCounts(t)
	default:
		t.Skip("it is the process of a benchmark's server")
	}
	fmt.Println(addr)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(cpuTime())
	}
}

func serveNATS(t *testing.T, dir string) (addr string) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server doesn't start")
	}
	return strings.TrimPrefix(s.ClientURL(), "nats://")
}

// serveCounts runs a WebSocket server. A text message is a number: that of messages that it sends then.
func serveCounts(t *testing.T) (addr string) {
	payload := make([]byte, benchSize)
	h := websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
		n, err := strconv.Atoi(string(msg))
		if op != websock.OpText || err != nil {
			return
		}
		go func() {
			for range n {
				if c.SendText(payload) != nil {
					return
				}
			}
		}()
	}, nil)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websock.Accept(w, r, &websock.AcceptOptions{Transport: epoll.Transport()}); err == nil {
			_ = c.SetHandler(h)
		}
	})}
	p := listen(t)
	go s.Serve(p)
	t.Cleanup(func() { s.Close() })
	return p.Addr().String()
}
