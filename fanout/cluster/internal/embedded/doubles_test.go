package embedded

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store/storetest"
)

// patience is how long tests wait for what should come soon.
const patience = time.Minute

// waitUntil waits for a condition.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, s := range started {
				t.Log(stateOf(s))
			}
			t.Fatal("not in time: ", what)
		}
	}
}

// started are the servers of the test that runs, for waitUntil to tell of them. There is one test at a time.
var started []*Server

func stateOf(s *Server) string {
	s.mu.Lock()
	e := s.engine
	s.mu.Unlock()
	if e == nil {
		return fmt.Sprintf("%s: the server doesn't run here, but at %s", s.dir, s.URL())
	}
	return fmt.Sprintf("%s: the server runs, with %d clients and %d routes; it leads: %v, and is current: %v",
		s.dir, e.NumClients(), e.NumRoutes(), e.JetStreamIsLeader(), e.JetStreamIsCurrent())
}

// inTime returns a context that ends when a test has waited long enough.
func inTime(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// start starts a server that is closed with the test.
func start(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := Start(inTime(t), c)
	if err != nil {
		t.Fatal(err)
	}
	started = append(started, s)
	t.Cleanup(func() {
		started = started[:len(started)-1]
		closeServer(t, s)
	})
	return s
}

func closeServer(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, s *Server) *nats.Conn {
	t.Helper()
	return letIn(t, func() (*nats.Conn, error) { return s.Connect() })
}

// letIn connects as soon as the server lets it in, which ends connections that take a while for that.
func letIn(t *testing.T, connect func() (*nats.Conn, error)) (nc *nats.Conn) {
	t.Helper()
	waitUntil(t, "the server lets it in", func() bool {
		var err error
		nc, err = connect()
		return err == nil
	})
	t.Cleanup(nc.Close)
	return nc
}

func open(t *testing.T, nc *nats.Conn, replicas int) *store.Bucket {
	t.Helper()
	b, err := store.Open(inTime(t), nc, store.Config{Bucket: "b", Replicas: replicas})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// renew writes a key until that succeeds, as a member renews its lease, and returns the revision.
func renew(t *testing.T, b store.Store, key, value string, last uint64) (revision uint64) {
	t.Helper()
	waitUntil(t, "a write", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		if revision, err = b.Update(ctx, key, []byte(value), last); err == nil {
			return true
		}
		// The answer of an attempt may have been lost.
		updates, err := b.Watch(ctx)
		if err != nil {
			return false
		}
		var written bool
		revision, written = storetest.Written(updates, key, value)
		return written
	})
	return revision
}

// renewUnderKill renews a key all the time, kills a child meanwhile, and returns the revision when
// that works again. Each renewal names the revision of the one before: one that was acknowledged, and
// is lost, would end that for ever.
func renewUnderKill(t *testing.T, b store.Store, key string, last uint64, victim *child) (revision uint64) {
	t.Helper()
	const before = 200
	dead := make(chan time.Time, 1)
	for n := 0; ; n++ {
		if n == before {
			go func() {
				began := time.Now()
				victim.kill()
				dead <- began
			}()
		}
		var began time.Time
		select {
		case began = <-dead:
		default:
		}
		revision = renew(t, b, key, fmt.Sprint(victim.Process.Pid, " ", n), last)
		if revision <= last {
			t.Errorf("revision %d after %d", revision, last)
		}
		last = revision
		if !began.IsZero() {
			t.Logf("%d renewals; writes work again after %v", n, time.Since(began))
			return revision
		}
	}
}

// childEnv, if it is set, makes the test binary a process with a server. See TestMain.
const childEnv = "EMBEDDED_TEST_CHILD"

// TestMain runs the tests, or a child: the server that its arguments describe, until its standard
// input ends.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	c := Config{Dir: os.Args[1], Listen: os.Args[2], Secret: "secret"}
	if len(os.Args) > 3 {
		c.ClusterListen, c.Peers = os.Args[3], os.Args[4:]
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := Start(ctx, c)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// A child is a process of this binary with a server.
type child struct {
	*exec.Cmd
	stdin io.Closer
	said  *bufio.Scanner
}

func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0], args...)}
	c.Env = append(os.Environ(), childEnv+"=1")
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin, c.said = stdin, bufio.NewScanner(stdout)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

// ready waits until a child has started.
func (c *child) ready(t *testing.T) *child {
	t.Helper()
	if !c.said.Scan() || c.said.Text() != "ready" {
		t.Fatalf("a process said %q", strings.TrimSpace(c.said.Text()))
	}
	return c
}

// kill kills a child, if it lives, as kill -9 does.
func (c *child) kill() {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// end lets a child end by itself.
func (c *child) end(t *testing.T) {
	t.Helper()
	c.stdin.Close()
	if err := c.Wait(); err != nil {
		t.Error("a process ended with:", err)
	}
}
