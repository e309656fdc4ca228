package websock_test

import (
	"context"
	"crypto/tls"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// All connections of a process share one scheduler. It aborts the silent ones: those of a Handler that
// is stuck, and of one that keeps sending.
func TestAStuckHandlerDelaysNoPingsOfOtherConnections(t *testing.T) {
	for name, transport := range everyTransport {
		for _, secure := range []bool{false, true} {
			t.Run(name+map[bool]string{false: " ws", true: " wss"}[secure], func(t *testing.T) {
				t.Parallel()
				url := endless(t, secure) + "/deaf"
				silent := websock.KeepAlive{Ping: 150 * time.Millisecond, Timeout: 300 * time.Millisecond}
				dial := func(k websock.KeepAlive, h websock.Handler) *websock.Conn {
					t.Helper()
					c, err := websock.Dial(t.Context(), url, &websock.Config{
						TLS:       &tls.Config{InsecureSkipVerify: true}, // a server of the test
						Transport: transport,
						KeepAlive: k,
						Handler:   h,
					})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Abort(nil) })
					return c
				}
				deaf := dial(silent, nil)
				stuck, release := make(chan bool, 1), make(chan bool)
				unblock := sync.OnceFunc(func() { close(release) })
				defer unblock()
				closed := make(chan error, 2)
				onClose := func(_ *websock.Conn, err error) { closed <- err }
				dial(silent, websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
					stuck <- true
					<-release
				}, onClose))
				dial(silent, websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
					for deaf.SendBinary(make([]byte, 1<<20)) == nil { // until that is aborted
					}
				}, onClose))
				select {
				case <-stuck:
				case err := <-closed: // before the message came
					t.Skip("this machine is too busy:", err)
				}

				kept := dial(websock.KeepAlive{Ping: 800 * time.Millisecond, Timeout: -1}, nil)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				go func() { // the peer of kept is silent: what is received must not be waited for
					<-ctx.Done()
					kept.Abort(nil)
				}()
				before := kept.Stats().Writes
				for kept.Stats().Writes == before && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				if ctx.Err() != nil {
					t.Error("no ping was sent")
				}
				for deaf.Err() == nil && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				if deaf.Err() == nil {
					t.Error("the silent connection wasn't aborted")
				}
				unblock()
				for range 2 {
					select {
					case <-closed:
					case <-time.After(20 * time.Second):
						t.Fatal("OnClose didn't come")
					}
				}
			})
		}
	}
}
