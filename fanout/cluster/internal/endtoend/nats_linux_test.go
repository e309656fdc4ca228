package endtoend

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/embedded"
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
	t         *testing.T
	namespace string
	configs   []natsConfig
	running   []*process
}

// startNATS starts servers on loopback: one alone, or more that form a cluster.
func startNATS(t *testing.T, servers int) *natsServers {
	t.Helper()
	n := &natsServers{t: t, running: make([]*process, servers)}
	ports := freePorts(t, 2*servers)
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

// freePorts returns addresses of loopback at which nobody listens.
func freePorts(t *testing.T, number int) (addresses []string) {
	t.Helper()
	for range number {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// startAll starts the servers that don't run.
func (n *natsServers) startAll() {
	n.t.Helper()
	var started []*process
	for i := range n.configs {
		if n.running[i] == nil {
			n.running[i] = launch(n.t, fmt.Sprint("NATS server ", i), n.namespace, role{NATS: &n.configs[i]})
			started = append(started, n.running[i])
		}
	}
	for _, p := range started {
		if line := p.read(); line != "started" {
			n.t.Fatalf("%s says %q, but is to start", p.name, line)
		}
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

func (n *natsServers) connect() *nats.Conn {
	n.t.Helper()
	conn, err := nats.Connect(n.url(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(conn.Close)
	return conn
}
