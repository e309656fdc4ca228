package endtoend

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/feed"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// A memberConfig is what the process of a member is told.
type memberConfig struct {
	Cluster string // its name
	Member  string
	Feed    string // address

	Keys, Partitions int
	Lease            time.Duration
	Rate             float64
	Overlap          time.Duration
	Away             cluster.Away
	Publish          bool

	URL      string // of NATS; "": Dir, and perhaps Peers
	Replicas int

	Dir           string
	Peers         []string
	ClusterListen string
}

// A memberReport is what the process of a member says when it is asked for it, and at its end.
type memberReport struct {
	cluster.Stats
	Opened, Attempts uint64 // connections
}

// What the process of a member may be told.
const (
	askToWait   = "wait" // until the cluster has settled in its view
	askToReport = "report"
)

// run is a member until the process is told to end.
func (m *memberConfig) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var c *cluster.Cluster
	ready := make(chan struct{})
	c, err := cluster.Start(ctx, m.options(func(key string) bool {
		<-ready
		_, held := c.Token(key)
		return held
	}))
	if err != nil {
		return err
	}
	close(ready)
	fmt.Println("started")
	go answer(ctx, c)
	<-ctx.Done()
	leaving, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = c.Shutdown(leaving)
	report(c)
	return err
}

// answer does what the test asks for. The process ends when the test's has.
func answer(ctx context.Context, c *cluster.Cluster) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case askToWait:
			if err := c.Wait(ctx); err != nil {
				fmt.Println("can't wait:", err)
			} else {
				fmt.Println(askToWait)
			}
		case askToReport:
			report(c)
		}
	}
	os.Exit(1)
}

func report(c *cluster.Cluster) {
	connections := c.Group().Stats()
	text, err := json.Marshal(memberReport{c.Stats(), connections.Connected, connections.Attempts})
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Println(string(text))
}

func (m *memberConfig) options(held func(key string) bool) cluster.Options {
	keys := make([]string, m.Keys)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	o := cluster.Options{
		Name:          m.Cluster,
		Member:        m.Member,
		Keys:          cluster.Static(keys...),
		URL:           m.URL,
		Replicas:      m.Replicas,
		Dir:           m.Dir,
		Peers:         m.Peers,
		ClusterListen: m.ClusterListen,
		Partitions:    m.Partitions,
		Lease:         m.Lease,
		Rate:          m.Rate,
		Overlap:       m.Overlap,
		Away:          m.Away,
		FenceHeader:   feed.TokenHeader,
		Receive:       true,
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Fanout: fanout.Options{
			Choose: func(s *fanout.Slot) fanout.Target {
				return fanout.Target{URL: "ws://" + m.Feed + "/" + s.Key(), Config: websock.Config{Transport: epoll.Transport()}}
			},
			Prepare: func(_ context.Context, _ *fanout.Slot, t *fanout.Target) error {
				t.Config.Header = http.Header{
					feed.MemberHeader: {m.Member},
					feed.BegunHeader:  {strconv.FormatInt(time.Now().UnixNano(), 10)},
				}
				return nil
			},
			OnMessage: func(s *fanout.Slot, op websock.Opcode, msg []byte) {
				if string(msg) == askForEcho && held(s.Key()) {
					s.Send(op, msg) // the feed sees whether the member still uses the key
				}
			},
			Backoff: fanout.Backoff{Base: 100 * time.Millisecond, Max: time.Second},
		},
	}
	if m.Publish {
		o.Publish = cluster.Publish{
			To:     cluster.ToJetStream,
			Stream: &jetstream.StreamConfig{Replicas: max(m.Replicas, min(len(m.Peers), 3))},
		}
	}
	return o
}

func keyOf(i int) string { return fmt.Sprintf("key-%d", i) }

// askForEcho is a message that members send back if they hold the key.
const askForEcho = "echo"
