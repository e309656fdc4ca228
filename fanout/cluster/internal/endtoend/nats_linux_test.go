package endtoend

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/embedded"
	"github.com/seed004e8d11/websock/internal/loopback"
)

// natsSecret lets members in.
const natsSecret = "secret"

// A natsConfig is what the process of a NATS server is told.
type natsConfig struct {
	Dir           string
	Listen        string
	Peers         []string
	ClusterListen string
}

// run is a NATS server until the process is told to end.
func (n *natsConfig) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := embedded.Start(ctx, embedded.Config{
		Dir:           n.Dir,
		Listen:        n.Listen,
		Peers:         n.Peers,
		ClusterListen: n.ClusterListen,
		Secret:        natsSecret,
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	fmt.Println("started")
	<-ctx.Done()
	return s.Close()
}

// natsServers are processes that run NATS servers. They can be killed, and started again with what
// they have stored.
type natsServers struct {
	t       *testing.T
	host    *host // on which they run; nil: where the test runs
	configs []natsConfig
	running []*process
}

// startNATS starts servers on loopback: one alone, or more that form a cluster.
func startNATS(t *testing.T, servers int) *natsServers {
	t.Helper()
	n := &natsServers{t: t, running: make([]*process, servers)}
	ports := loopback.Addresses(t, 2*servers)
	for i := range servers {
		c := natsConfig{Dir: t.TempDir(), Listen: ports[i]}
		if servers > 1 {
			c.Peers, c.ClusterListen = ports[servers:], ports[servers+i]
		}
		n.configs = append(n.configs, c)
	}
	n.startAll()
	return n
}

// startAll starts the servers that don't run.
func (n *natsServers) startAll() {
	n.t.Helper()
	var started []*process
	for i := range n.configs {
		if n.running[i] == nil {
			n.running[i] = launch(n.t, fmt.Sprint("NATS server ", i), n.host, role{NATS: &n.configs[i]})
			started = append(started, n.running[i])
		}
	}
	for _, p := range started {
		if line := p.read(); line != "started" {
			n.t.Fatalf("%s says %q, but is to start", p.name, line)
		}
	}
}

func (n *natsServers) kill(i int) {
	n.running[i].kill()
	n.running[i] = nil
}

func (n *natsServers) killAll() {
	for i := range n.running {
		n.kill(i)
	}
}

// url returns where clients find the servers.
func (n *natsServers) url() string {
	var urls []string
	for _, c := range n.configs {
		urls = append(urls, "nats://"+natsSecret+"@"+c.Listen)
	}
	return strings.Join(urls, ",")
}

// connect connects the test to the servers.
func (n *natsServers) connect() *nats.Conn {
	n.t.Helper()
	options := []nats.Option{
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // there are errors when servers are killed
	}
	if n.host != nil {
		options = append(options, nats.SetCustomDialer(n.host))
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := nats.Connect(n.url(), options...)
		if err == nil {
			n.t.Cleanup(conn.Close)
			return conn
		}
		if time.Now().After(end) { // a server ends connections that take a while to be let in
			n.t.Fatal(err)
		}
	}
}

// leader returns which of the servers leads the bucket of a cluster; ok is false if none does.
func (n *natsServers) leader(conn *nats.Conn, cluster string) (server int, ok bool) {
	js, err := jetstream.New(conn)
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, bucketOf(cluster))
	if err != nil {
		return 0, false
	}
	leader := stream.CachedInfo().Cluster.Leader
	for i, c := range n.configs {
		if name, _ := os.ReadFile(filepath.Join(c.Dir, "name")); strings.TrimSpace(string(name)) == leader {
			return i, n.running[i] != nil
		}
	}
	return 0, false
}

// bucketOf returns the name of the stream with a cluster's records.
func bucketOf(cluster string) string { return "KV_" + cluster + "-cluster" }
