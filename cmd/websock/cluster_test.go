package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// A keyServer echoes, and knows which of the keys of a cluster are connected: the stamp of a message has
// the number of its key. It echoes slowly, to leave the processors to others.
type keyServer struct {
	url string
	t   *testing.T

	mu    sync.Mutex
	conns map[int]int // by number
}

func startKeyServer(t *testing.T) *keyServer {
	s := &keyServer{t: t, conns: map[int]int{}}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return s
}

func (s *keyServer) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, nil)
	if err != nil {
		return // the process was killed
	}
	defer conn.Close()
	number := -1
	for {
		op, msg, err := conn.RecvMessage(nil)
		if err != nil {
			break
		}
		if number < 0 {
			number = s.opened(msg)
		}
		time.Sleep(100 * time.Millisecond)
		conn.SendFrame(op, true, msg)
	}
	if number >= 0 {
		s.mu.Lock()
		s.conns[number]--
		s.mu.Unlock()
	}
}

// opened counts a connection by its first message. Of another connection with the same key it may not
// have read the end yet, which has come before.
func (s *keyServer) opened(msg []byte) int {
	stamp, err := strconv.ParseUint(string(msg[:payload.StampSize]), 16, 64)
	if err != nil {
		s.t.Error(err)
	}
	const ofConnection = math.MaxUint64/payload.MaxConnections + 1 // IDs that belong to one
	number := int(stamp / ofConnection)
	waitUntil(s.t, fmt.Sprintf("the other connection of key %d ends", number), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conns[number] > 0 {
			return false
		}
		s.conns[number]++
		return true
	})
	return number
}

// connected returns how many of the keys have a connection.
func (s *keyServer) connected() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conns := range s.conns {
		n += conns
	}
	return n
}

// A clusterProcess is a process that runs websock fanout -cluster.
type clusterProcess struct {
	*exec.Cmd
	out, err syncBuffer
}

func startClusterProcess(t *testing.T, args ...string) *clusterProcess {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &clusterProcess{Cmd: exec.Command(program, append([]string{"fanout", "-json"}, args...)...)}
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
		if t.Failed() {
			t.Logf("process %d: %s%s", p.Process.Pid, p.err.String(), p.out.String())
		}
	})
	return p
}

// interrupt has the process leave, and returns what it reports.
func (p *clusterProcess) interrupt(t *testing.T) (r report.Report) {
	p.Process.Signal(os.Interrupt)
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s%s", err, p.err.String(), p.out.String())
	}
	return decodeReport(t, p.out.String())
}

func TestProcessesShareConnectionsAndTakeOverFromOneThatIsKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process can't be interrupted there")
	}
	const keys = 300
	server := startKeyServer(t)
	nats := []string{"-dir", t.TempDir()}
	status := func() (s cluster.Status) {
		got := command(t.Context(), "", append([]string{"cluster", "status", "-json"}, nats...)...)
		if got.code == 0 {
			if err := json.Unmarshal([]byte(got.out), &s); err != nil {
				t.Errorf("%v: %+v", err, got)
			}
		}
		return s // that of the zero value while no server answers
	}
	// shared reports whether so many members hold everything, and each about its part.
	shared := func(members int) func() bool {
		return func() bool {
			s := status()
			if len(s.Members) != members || s.Free > 0 || s.Moving > 0 || server.connected() != keys {
				return false
			}
			up := 0
			for _, m := range s.Members {
				up += m.Up
				if m.Partitions < s.Partitions/members/2 {
					return false
				}
			}
			return up == keys
		}
	}
	var processes []*clusterProcess
	for i := range 3 {
		processes = append(processes, startClusterProcess(t, append([]string{
			"-cluster", "-url", server.url, "-n", strconv.Itoa(keys), "-lease", "12s", "-size", "32",
		}, nats...)...))
		waitUntil(t, fmt.Sprintf("%d members share the connections", i+1), shared(i+1))
	}

	processes[0].Process.Kill() // NATS runs in it, too
	waitUntil(t, "2 members have all connections", shared(2))

	r := processes[1].interrupt(t)
	if c := r.Cluster; c == nil || !c.Left || c.Losses > 0 || c.HandedOver == 0 || c.Claimed == 0 || c.Status == nil || len(c.Status.Members) != 2 {
		t.Errorf("%+v %+v", r, r.Cluster)
	}
	if r.Sent == 0 || r.Sent != r.Received || r.ErrorsTotal > 0 {
		t.Errorf("%+v", r)
	}
	waitUntil(t, "1 member has all connections", shared(1))
	if r := processes[2].interrupt(t); r.Cluster == nil || !r.Cluster.Left || r.Cluster.Received == 0 || r.Connections != keys {
		t.Errorf("%+v %+v", r, r.Cluster)
	}
	waitUntil(t, "no connection is left", func() bool { return server.connected() == 0 })
	if got := command(t.Context(), "", append([]string{"cluster", "status"}, nats...)...); got.code != 3 {
		t.Errorf("the server has ended: %+v", got)
	}
}
