package bench

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// BenchmarkNeighboursOfFirehoses measures how long an echo takes on a connection whose neighbours on the
// same loop receive as fast as they can: nothing, large messages, tiny ones, and messages of a kilobyte
// that inflate to a megabyte. The servers are another process.
//
//	go test -run '^$' -bench NeighboursOfFirehoses -benchtime 1s
func BenchmarkNeighboursOfFirehoses(b *testing.B) {
	url := firehoseServer(b)
	for _, transport := range []struct {
		name string
		websock.Transport
	}{
		{"std", std.Transport()}, {"epoll", epoll.Transport()}, {"netpoll", netpoll.Transport()},
	} {
		measure := func(kind string, firehoses int) {
			b.Run(fmt.Sprintf("%s/%s/%d", transport.name, kind, firehoses), func(b *testing.B) {
				benchmarkNeighbour(b, url, transport, kind, firehoses)
			})
		}
		measure("quiet", 0)
		for _, kind := range []string{"large", "tiny", "compressed"} {
			for _, firehoses := range []int{1, 4, 16} {
				measure(kind, firehoses)
			}
		}
	}
}

func benchmarkNeighbour(b *testing.B, url string, transport websock.Transport, kind string, firehoses int) {
	dial := func(path string, h websock.Handler) *websock.Conn {
		c, err := websock.Dial(context.Background(), url+path, &websock.Config{
			Transport:   transport,
			Handler:     h,
			Compression: websock.Compression{Level: 1},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Abort(nil) })
		return c
	}
	for range firehoses {
		dial(kind, websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, nil))
	}
	const neighbours = 4 // on every loop
	echoes := make(chan struct{}, 1)
	var conns []*websock.Conn
	for range neighbours {
		conns = append(conns, dial("echo", websock.Messages(func(*websock.Conn, websock.Opcode, []byte) { echoes <- struct{}{} }, nil)))
	}
	time.Sleep(100 * time.Millisecond) // until the firehoses have started
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if err := conns[len(took)%neighbours].SendText([]byte("echo")); err != nil {
			b.Fatal(err)
		}
		<-echoes
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds()), fmt.Sprintf("p%d-µs", p))
	}
}

// firehoseServer starts the servers and returns their URL.
func firehoseServer(b *testing.B) string {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFirehoseServer$", "-test.v")
	cmd.Env = append(os.Environ(), "FIREHOSE_SERVER=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, url, ok := strings.Cut(lines.Text(), "url "); ok {
			return url
		}
	}
	b.Fatal("the servers didn't start")
	return ""
}

// TestFirehoseServer runs the servers of BenchmarkNeighboursOfFirehoses until its standard input ends.
func TestFirehoseServer(t *testing.T) {
	if os.Getenv("FIREHOSE_SERVER") == "" {
		t.Skip("only for BenchmarkNeighboursOfFirehoses")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(serveFirehose))
	fmt.Printf("url ws://%s/\n", l.Addr())
	io.Copy(io.Discard, os.Stdin)
}

func serveFirehose(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/echo" {
		serveEcho(w, r)
		return
	}
	conn, _, err := handshake.Accept(w, r, &handshake.ServerOptions{Compression: websock.Compression{Level: 1}})
	if err != nil {
		return
	}
	defer conn.Close()
	var frame []byte
	switch r.URL.Path {
	case "/large":
		frame = append(engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary, Length: 64 << 10}), make([]byte, 64<<10)...)
	case "/tiny":
		frame = engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary})
	case "/compressed":
		frame = bomb()
	}
	for stream := bytes.Repeat(frame, 256<<10/len(frame)); err == nil; {
		_, err = conn.Write(stream)
	}
}

// bomb is a frame of a kilobyte that inflates to a megabyte.
func bomb() []byte {
	var payload bytes.Buffer
	w, _ := flate.NewWriter(&payload, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	p := bytes.TrimSuffix(payload.Bytes(), []byte("\x00\x00\xff\xff"))
	return append(engine.AppendHeader(nil, websock.Header{Fin: true, Rsv: 4, Opcode: websock.OpBinary, Length: int64(len(p))}), p...)
}

func serveEcho(w http.ResponseWriter, r *http.Request) {
	c, err := websock.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		op, msg, err := c.RecvMessage(nil)
		if err != nil {
			return
		}
		c.SendFrame(op, true, msg)
	}
}
