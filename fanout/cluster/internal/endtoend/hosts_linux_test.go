package endtoend

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout/cluster"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/feed"
)

// A host is a network namespace. It exists as long as a process in it.
type host struct {
	t       *testing.T
	name    string
	process *process
}

func startHost(t *testing.T, name string) *host {
	h := &host{t, name, launch(t, "host "+name, nil, role{Host: true})}
	if line := h.process.read(); line != "started" {
		t.Fatalf("host %s says %q, but is to start", name, line)
	}
	h.ip("link", "set", "lo", "up")
	return h
}

// command returns a program and its arguments as they run on the host.
func (h *host) command(program ...string) []string {
	if h == nil {
		return program
	}
	return append([]string{"nsenter", "--net=" + h.path(), "--"}, program...)
}

func (h *host) path() string { return "/proc/" + h.pid() + "/ns/net" }

func (h *host) pid() string { return strconv.Itoa(h.process.cmd.Process.Pid) }

// ip configures the host's network.
func (h *host) ip(arguments ...string) {
	h.t.Helper()
	command := h.command(append([]string{"ip"}, arguments...)...)
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		h.t.Fatalf("%v on host %s: %v\n%s", arguments, h.name, err, out)
	}
}

// do calls a function whose sockets are the host's.
func (h *host) do(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open(h.path())
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	result := f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return err // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return result
}

// Dial connects from the host.
func (h *host) Dial(network, address string) (c net.Conn, err error) {
	err = h.do(func() error {
		c, err = net.Dial(network, address)
		return err
	})
	return c, err
}

// A network is three hosts and a fourth one with the servers, which each of them reaches by two cables: one
// to NATS, one to the feeds.
type network struct {
	servers *host
	hosts   map[string]*host
}

const (
	natsCable, natsAddress = "nats", "10.77.1.1"
	feedCable, feedAddress = "feed", "10.77.2.1"
)

// startNetwork skips the test if it may not make networks.
func startNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may make network namespaces")
	}
	for _, program := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no program %q", program)
		}
	}
	if err := exec.Command("unshare", "--net", "true").Run(); err != nil {
		t.Skipf("network namespaces can't be made here: %v", err)
	}
	n := &network{servers: startHost(t, "servers"), hosts: map[string]*host{}}
	for cable, address := range map[string]string{natsCable: natsAddress, feedCable: feedAddress} {
		n.servers.ip("link", "add", cable, "type", "bridge")
		n.servers.ip("addr", "add", address+"/24", "dev", cable)
		n.servers.ip("link", "set", cable, "up")
	}
	for i, name := range []string{"a", "b", "c"} {
		h := startHost(t, name)
		n.hosts[name] = h
		for cable, subnet := range map[string]string{natsCable: "10.77.1.", feedCable: "10.77.2."} {
			end := n.end(cable, name)
			n.servers.ip("link", "add", end, "type", "veth", "peer", "name", cable, "netns", h.pid())
			n.servers.ip("link", "set", end, "master", cable, "up")
			h.ip("addr", "add", fmt.Sprint(subnet, 10+i, "/24"), "dev", cable)
			h.ip("link", "set", cable, "up")
		}
	}
	return n
}

// end returns the name of a cable's end at the servers.
func (n *network) end(cable, host string) string { return cable + "-" + host }

// pull pulls out a cable of a host: nothing gets through any more, and nobody is told. plug plugs it in.
func (n *network) pull(cable, host string) { n.servers.ip("link", "set", n.end(cable, host), "down") }
func (n *network) plug(cable, host string) { n.servers.ip("link", "set", n.end(cable, host), "up") }

// startNATS starts one NATS server.
func (n *network) startNATS(t *testing.T) *natsServers {
	t.Helper()
	s := &natsServers{
		t:       t,
		host:    n.servers,
		configs: []natsConfig{{Dir: t.TempDir(), Listen: natsAddress + ":4222"}},
		running: make([]*process, 1),
	}
	s.startAll()
	return s
}

// newWorld returns a world whose members run on the hosts.
func (n *network) newWorld(t *testing.T) *world {
	t.Helper()
	var f *feed.Server
	err := n.servers.do(func() (err error) {
		f, err = feed.New(feedAddress + ":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.KeepAlive = websock.KeepAlive{Ping: time.Second, Timeout: 10 * time.Second} // to notice that a host is gone
	w := newWorldOf(t, f)
	w.hosts = n.hosts
	return w
}

// The members of two clusters, one for each value of cluster.Away, run on three hosts. One host is cut off
// from NATS, then also from the feeds, and then it is connected again.
func TestAHostThatIsCutOff(t *testing.T) {
	begin(t)
	n := startNetwork(t)
	servers := n.startNATS(t)
	stop, keep := n.newWorld(t), n.newWorld(t)
	stop.config.Cluster, keep.config.Cluster = "stop", "keep"
	keep.config.Away = cluster.KeepConnections
	worlds := []*world{stop, keep}
	journals := map[*world]*journal{}
	for _, w := range worlds {
		w.config.Keys, w.config.Rate = w.config.Keys/2, w.config.Rate/2
		w.useNATS(servers)
		w.startThree()
		journals[w] = w.watchAcks()
		w.sendNumbers()
	}
	lost, kept := stop.held("b"), keep.held("b")

	keep.feed.SetAdrift("b", true)
	cut := time.Now()
	n.pull(natsCable, "b")
	stop.waitUntil("the member that is cut off from NATS has no connection", func() bool { return stop.held("b") == 0 })
	t.Logf("StopConnections: it had closed its %d connections after %v, of a lease of %v", lost, time.Since(cut).Round(time.Millisecond), stop.config.Lease)
	for _, w := range worlds {
		w.waitUntil("the others have its keys", func() bool { return w.held("a")+w.held("c") == w.config.Keys })
		w.checkTook(w.config.Cluster+": the takeover", time.Since(cut), w.config.Lease+2*time.Second+w.timeFor(lost))
	}
	stop.logOverlap()
	if n := keep.held("b"); n != kept {
		t.Errorf("KeepConnections: it has %d of %d connections", n, kept)
	}
	if state := keep.members["b"].report().State; state != "adrift" {
		t.Errorf("KeepConnections: it is %s", state)
	}

	n.pull(feedCable, "b")
	keep.waitUntil("the feed has noticed that the host is gone", func() bool { return keep.held("b") == 0 })
	for _, w := range worlds {
		if n := w.held("a") + w.held("c"); n != w.config.Keys {
			t.Errorf("%s: the others have %d of %d keys", w.config.Cluster, n, w.config.Keys)
		}
	}

	healed := time.Now()
	n.plug(natsCable, "b")
	n.plug(feedCable, "b")
	for _, w := range worlds {
		w.waitUntil("it is a member again", func() bool {
			r := w.members["b"].report()
			return r.Losses > 0 && r.State == "live"
		})
		t.Logf("%s: it was a member again after %v", w.config.Cluster, time.Since(healed).Round(time.Millisecond))
		w.settle()
		w.feed.SetAdrift("b", false)
		w.checkSpread()
		w.checkRate()
		journals[w].check(true)
	}
}
