package cluster

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/member"
)

func TestACutAbortsConnectionsThatAreBeingDrained(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		<-ended // it never reads, and so never answers a close frame
		conn.Abort(nil)
	}))
	defer server.Close()
	defer close(ended)
	c := &Cluster{}
	target := fanout.Target{URL: server.URL, Config: websock.Config{Limits: websock.Limits{CloseTimeout: time.Hour}}}
	var err error
	if c.group, err = fanout.Start(fanout.Options{Size: -1, Targets: []fanout.Target{target}}); err != nil {
		t.Fatal(err)
	}
	defer c.group.Shutdown(t.Context())
	c.member = member.New(member.Options{Settings: machine.Settings{Partitions: 1}})
	c.holder = newHolder(c, 1)
	c.holder.put("key", nil)
	c.holder.Open(0, 1)
	waitUntil(t, "the key is connected", func() bool { return c.group.Stats().Up == 1 })
	c.holder.Drain(0)
	if live, _ := c.holder.keys(); live != 1 {
		t.Fatalf("%d connections are left at once", live)
	}
	c.holder.Cut()
	waitUntil(t, "nothing is left", func() bool { live, _ := c.holder.keys(); return live == 0 })
}

func TestWithAnOverlapAPartitionTakesMessagesWhenItIsSettled(t *testing.T) {
	conn := connectNATS(t, startNATS(t).addr())
	for _, test := range []struct {
		name     string
		overlap  time.Duration
		first    []bool // whether it may take them at once
		answered bool   // the opening handshake is
	}{
		{"no overlap", 0, []bool{true}, false},
		{"settled", time.Hour, []bool{false}, true},
		{"the overlap has passed", time.Second, []bool{false, true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-answer
				w.WriteHeader(http.StatusTeapot)
			}))
			defer server.Close()
			c := &Cluster{options: Options{Overlap: test.overlap}}
			c.receiver = startReceiver(receiverOptions{prefix: "test", conn: conn, log: discardLog})
			defer c.receiver.stop()
			c.member = member.New(member.Options{Settings: machine.Settings{Partitions: 1}})
			c.holder = newHolder(c, 1)
			var err error
			if c.group, err = fanout.Start(fanout.Options{
				Size:    -1,
				Targets: fanout.URLs(server.URL),
				OnDown:  func(s *fanout.Slot, _ error, _ time.Duration) { c.holder.tried(s) },
			}); err != nil {
				t.Fatal(err)
			}
			defer c.group.Shutdown(t.Context())
			end := sync.OnceFunc(func() { close(answer) })
			defer end()
			takes := func() bool {
				c.receiver.mu.Lock()
				defer c.receiver.mu.Unlock()
				_, wanted := c.receiver.wanted["key"]
				return wanted
			}
			c.holder.put("key", nil)
			c.holder.Open(0, 1)
			if got := takes(); !slices.Contains(test.first, got) {
				t.Errorf("at first, messages are taken: %v", got)
			}
			if test.answered {
				end()
			}
			waitUntil(t, "messages are taken", takes)
			c.holder.Drain(0)
			if takes() {
				t.Error("messages are taken for a key whose connection is being closed")
			}
		})
	}
}

func TestACutDoesNotWaitForOnDropped(t *testing.T) {
	n := startNATS(t)
	conn := connectNATS(t, n.addr())
	dropping, end := make(chan struct{}), make(chan struct{})
	c := &Cluster{}
	c.publisher = startTestPublisher(t, conn, nil, Publish{To: ToCore, OnDropped: func(string, int, DropReason) {
		close(dropping)
		<-end
	}})
	defer close(end)
	n.stop()
	waitUntil(t, "the connection is lost", func() bool { return !conn.IsConnected() })
	c.publisher.receive(nil, "key", websock.OpText, []byte("1"))
	server := startPeer(t)
	c.group = startSlots(t, server, nil, fanout.Options{Size: -1, Targets: fanout.URLs(server.http.URL + "/key")})
	c.member = member.New(member.Options{Settings: machine.Settings{Partitions: 1}})
	c.holder = newHolder(c, 1)
	c.holder.put("key", nil)
	c.holder.Open(0, 1)
	waitUntil(t, "the key is connected", func() bool { return c.group.Stats().Up == 1 })
	c.holder.Cut()
	<-dropping
	waitUntil(t, "the key is not connected", func() bool { return c.group.Stats().Up == 0 })
}
