package embedded

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/internal/loopback"
)

// threePeers are the configurations of three peers.
func threePeers(t *testing.T) (configs []Config) {
	t.Helper()
	addresses := loopback.Addresses(t, 3)
	for _, address := range addresses {
		configs = append(configs, Config{
			Dir: t.TempDir(), Secret: "secret", Peers: addresses, ClusterListen: address,
		})
	}
	return configs
}

func TestPeersGoOnWhenOneIsClosed(t *testing.T) {
	configs := threePeers(t)
	var servers []*Server
	for _, c := range configs {
		servers = append(servers, start(t, c))
	}
	b := open(t, connect(t, servers[0]), servers[0].Replicas())
	revision, err := b.Create(inTime(t), "k", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	name := servers[2].engine.Name()
	closeServer(t, servers[2])
	revision = renew(t, b, "k", "1", revision)

	again := start(t, configs[2])
	if got := again.engine.Name(); got != name {
		t.Errorf("the server is called %s after a restart, and was %s before", got, name)
	}
	closeServer(t, servers[1]) // so the two others have a majority only with the one that was restarted
	revision = renew(t, open(t, connect(t, again), 3), "k", "2", revision)
	renew(t, b, "k", "3", revision)
}

func TestAPeerWithoutTheSecretIsNotLetIn(t *testing.T) {
	configs := threePeers(t)
	start(t, configs[0])
	friend := start(t, configs[1])
	configs[2].Secret = "wrong"
	stranger := start(t, configs[2])
	waitUntil(t, "the friend is let in", func() bool { return friend.engine.NumRoutes() > 0 })
	// It counts a route until it is told that it isn't let in.
	waitUntil(t, "the stranger has no route", func() bool { return stranger.engine.NumRoutes() == 0 })
}

func TestPeersOnLoopbackNeedNoSecret(t *testing.T) {
	configs := threePeers(t)
	for i := range configs {
		configs[i].Secret = ""
	}
	first, second := start(t, configs[0]), start(t, configs[1])
	waitUntil(t, "they find each other", func() bool {
		return first.engine.NumRoutes() > 0 && second.engine.NumRoutes() > 0
	})
}

// leads returns the name of the server that leads the bucket.
func leads(t *testing.T, nc *nats.Conn) (leader string) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "a leader", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // nobody answers while there is none
		defer cancel()
		s, err := js.Stream(ctx, "KV_b")
		if err == nil && s.CachedInfo().Cluster != nil {
			leader = s.CachedInfo().Cluster.Leader
		}
		return leader != ""
	})
	return leader
}

// The peer that leads the bucket is killed. How long JetStream is away then is what a lease has to
// outlast.
func TestAPeerIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("the others take some seconds to notice")
	}
	configs := threePeers(t)
	children := map[string]*child{} // by the directory
	var conns []*nats.Conn
	begin := func(c Config) {
		children[c.Dir] = startChild(t, append([]string{c.Dir, c.Listen, c.ClusterListen}, c.Peers...)...)
	}
	for _, c := range configs {
		begin(c)
	}
	for _, c := range configs {
		children[c.Dir].ready(t)
		conns = append(conns, letIn(t, func() (*nats.Conn, error) { return Connect(c.Dir) }))
	}
	b := open(t, conns[0], 3)
	revision, err := b.Create(inTime(t), "lease", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		leader := leads(t, conns[0])
		victim := 0
		for i, c := range configs {
			if name, err := dir(c.Dir).read(nameName); err == nil && name == leader {
				victim = i
			}
		}
		b := open(t, conns[(victim+1)%3], 3)
		revision = renewUnderKill(t, b, "lease", revision, children[configs[victim].Dir])
		begin(configs[victim])
		children[configs[victim].Dir].ready(t)
	}
	for _, c := range children {
		c.end(t)
	}
}
