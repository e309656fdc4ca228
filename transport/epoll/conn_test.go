//go:build linux

package epoll

import (
	stdtls "crypto/tls"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

var suite = transporttest.Suite{Factory: Transport(), Networks: []string{"tcp", "unix"}}

func TestMain(m *testing.M) { leak.VerifyTestMain(m) }

func TestTransport(t *testing.T) { suite.Run(t) }

func BenchmarkEcho(b *testing.B) { suite.Benchmark(b) }

func TestTransportOverTLS(t *testing.T) {
	for _, version := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		if race.Enabled && version == stdtls.VersionTLS12 {
			continue // the goroutines are the same
		}
		t.Run(stdtls.VersionName(version), func(t *testing.T) {
			s := suite
			s.TLS = version
			s.Run(t)
		})
	}
}

// With one processor, a loop and all other goroutines take turns.
func TestTransportOnOneProcessor(t *testing.T) {
	if race.Enabled {
		t.Skip("the goroutines are those of the other tests")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := suite
	s.Factory = Loops(1)
	s.Run(t)
}

// A loop that uses its ring for a single connection, too, makes all calls of the suite through it.
func TestTransportThroughARing(t *testing.T) {
	if race.Enabled {
		t.Skip("it takes long, and the goroutines are those of the other tests")
	}
	if err := Batching(); err != nil {
		t.Skip(err)
	}
	s := suite
	s.Factory = Factory{&loopGroup{minBatch: 1}}
	s.Run(t)
}

func TestAConnHasWhatAMessageNeedsInItsFirstCacheLine(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("pointers are smaller here, and so is a Conn")
	}
	var c Conn
	if size, second := unsafe.Sizeof(c), unsafe.Offsetof(c.readDeadline); size != 128 || second != 64 {
		t.Errorf("a Conn takes %d bytes, the second line begins at %d", size, second)
	}
}

func TestLastUserClosesTheDescriptor(t *testing.T) {
	for users := range 3 {
		var ref fdRef
		for range users {
			if !ref.acquire() {
				t.Fatal("an open descriptor can't be used")
			}
		}
		if ref.closed() {
			t.Error("closed before close")
		}
		if first, others := ref.close(); !first || others != (users > 0) {
			t.Errorf("%d users: close returned %v, %v", users, first, others)
		}
		if first, others := ref.close(); first || others {
			t.Errorf("%d users: another close returned %v, %v", users, first, others)
		}
		if !ref.closed() || ref.acquire() {
			t.Errorf("%d users: a closed descriptor can be used", users)
		}
		for left := users; left >= 0; left-- { // close is one of them
			if last := ref.release(); last != (left == 0) {
				t.Errorf("%d users left, and release returned %v", left, last)
			}
		}
	}
}

func TestDescriptorIsClosedOnce(t *testing.T) {
	for range 100 {
		var ref fdRef
		var freed atomic.Int32
		free := func(last bool) {
			if last {
				freed.Add(1)
			}
		}
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				for ref.acquire() {
					free(ref.release())
				}
			})
			users.Go(func() {
				if first, _ := ref.close(); first {
					free(ref.release())
				}
			})
		}
		users.Wait()
		if n := freed.Load(); n != 1 {
			t.Fatalf("freed %d times", n)
		}
	}
}

func TestAddressesAreKnownAfterClose(t *testing.T) {
	for _, network := range []string{"tcp", "tcp6", "unix"} {
		for _, asked := range []bool{false, true} { // whether they were asked for before Close, too
			t.Run(network, func(t *testing.T) {
				client, _ := sockets(t, network)
				local, remote := client.LocalAddr().String(), client.RemoteAddr().String()
				transport, err := Loops(1).Attach(client, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer transport.Close()
				check := func(when string) {
					t.Helper()
					if got := transport.LocalAddr(); got.String() != local || got.Network() != client.LocalAddr().Network() {
						t.Errorf("%s, our address is %v, want %s", when, got, local)
					}
					if got := transport.RemoteAddr(); got.String() != remote {
						t.Errorf("%s, the peer's address is %v, want %s", when, got, remote)
					}
				}
				if asked {
					check("while open")
				}
				transport.Close()
				check("after Close")
				transport.Close()
				check("after another Close")
			})
		}
	}
}

func TestAddressesWithAZoneAreKept(t *testing.T) {
	link := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}
	c := &Conn{}
	c.setAddrs(addressed{local: link, remote: link})
	if c.LocalAddr() != link || c.RemoteAddr() != link {
		t.Errorf("%v, %v", c.LocalAddr(), c.RemoteAddr())
	}
}
