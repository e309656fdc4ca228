package transporttest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/seed004e8d11/websock"
)

// netConns returns the two ends of a connection as streams, that of the role given first.
func (s Suite) netConns(t testing.TB, network string, role websock.Role, timeout time.Duration) (a, b net.Conn) {
	client, server := s.pair(t, network, websock.Limits{CloseTimeout: timeout})
	a, b = client.NetConn(websock.OpBinary), server.NetConn(websock.OpBinary)
	if role == websock.Server {
		a, b = b, a
	}
	return a, b
}

func (s Suite) testNetConnIsANetConn(t *testing.T) {
	s.eachRole(t, func(t *testing.T, role websock.Role) {
		nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
			a, b = s.netConns(t, "tcp", role, time.Second)
			return a, b, func() { // both at once: neither has to wait for the other
				var closing sync.WaitGroup
				closing.Go(func() { a.Close() })
				closing.Go(func() { b.Close() })
				closing.Wait()
			}, nil
		})
	})
}

// A peer that takes nothing keeps nobody waiting after a write timed out, whatever its size:
// neither a Read under way nor a later one.
func (s Suite) testNetConnIsOverAfterAWriteTimedOut(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		for _, size := range []int{1 << 10, 64 << 10, 16 << 20} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				stream, _ := s.netConns(t, network, websock.Client, 100*time.Millisecond)
				buf := make([]byte, 10)
				read := make(chan error, 1)
				go func() {
					_, err := stream.Read(buf)
					read <- err
				}()
				isTimeout := func(err error) bool {
					timeout, ok := err.(net.Error)
					return ok && timeout.Timeout() && errors.Is(err, os.ErrDeadlineExceeded)
				}
				soon(t, "Write", func() {
					p := make([]byte, size)
					var err error
					for stream.SetWriteDeadline(time.Now().Add(100*time.Millisecond)) == nil { // not over yet
						_, err = stream.Write(p)
					}
					if !isTimeout(err) {
						t.Errorf("a write that timed out: %T %v", err, err)
					}
					if _, err := stream.Write(p); !isTimeout(err) {
						t.Errorf("the next one: %T %v", err, err)
					}
				})
				soon(t, "Read", func() {
					if err := <-read; err == nil {
						t.Error("the Read under way has read something")
					}
					if _, err := stream.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("a later Read doesn't say why: %v", err)
					}
					stream.SetWriteDeadline(time.Time{})
					if _, err := stream.Write([]byte("x")); !isTimeout(err) {
						t.Errorf("a later Write: %v", err)
					}
				})
				soon(t, "Close", func() { stream.Close() })
			})
		}
	})
}
