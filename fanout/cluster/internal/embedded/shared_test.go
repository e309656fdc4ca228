package embedded

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock/internal/loopback"
)

func TestProcessesOfAMachineShareAServer(t *testing.T) {
	c := Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"}
	first, err := Start(inTime(t), c)
	if err != nil {
		t.Fatal(err)
	}
	second := start(t, c)
	if !first.Running() || second.Running() || first.URL() != second.URL() {
		t.Fatalf("running %v and %v at %s and %s", first.Running(), second.Running(), first.URL(), second.URL())
	}
	firstConn, secondConn := connect(t, first), connect(t, second)
	b := open(t, secondConn, second.Replicas())
	revision, err := open(t, firstConn, 1).Create(inTime(t), "k", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	revision = renew(t, b, "k", "1", revision)

	firstConn.Close()
	closeServer(t, first)
	renew(t, b, "k", "2", revision)
	waitUntil(t, "the second process knows that it runs the server", second.Running)
	third := start(t, c)
	if third.Running() {
		t.Error("a third process runs a server, too")
	}
}

func TestManyProcessesStartAtOnce(t *testing.T) {
	c := Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"}
	const n = 6
	started := make(chan *Server, n)
	for range n {
		go func() {
			s, err := Start(inTime(t), c)
			if err != nil {
				t.Error(err)
			}
			started <- s
		}()
	}
	running := 0
	var servers []*Server
	for range n {
		if s := <-started; s != nil {
			servers = append(servers, s)
			if s.Running() {
				running++
			}
		}
	}
	if running != 1 {
		t.Errorf("%d processes run a server, want 1", running)
	}
	for _, s := range servers { // not the other way round: each goes on to the next
		closeServer(t, s)
	}
}

// The process that runs the server is killed, again and again.
func TestAnotherProcessStartsTheServerWhenOneIsKilled(t *testing.T) {
	d := t.TempDir()
	args := []string{d, loopback.Addresses(t, 1)[0]}
	children := map[int]*child{}
	add := func() {
		c := startChild(t, args...).ready(t)
		children[c.Process.Pid] = c
	}
	add()
	add()
	add()
	b := open(t, letIn(t, func() (*nats.Conn, error) { return Connect(d) }), 1)
	revision, err := b.Create(inTime(t), "lease", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		var runs *child
		waitUntil(t, "a process says that it runs the server", func() bool { // it may take connections before
			place, err := dir(d).place()
			runs = children[place.Process]
			return err == nil && runs != nil
		})
		delete(children, runs.Process.Pid)
		revision = renewUnderKill(t, b, "lease", revision, runs)
		add()
	}
	for _, c := range children {
		c.end(t)
	}
}
