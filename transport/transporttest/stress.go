package transporttest

import (
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// Whatever several goroutines and the Handler itself do to a connection, OnClose comes once and
// nothing after it.
func (s Suite) testWhateverIsDoneOnCloseComesOnce(t *testing.T) {
	const rounds, actors, actions = 30, 3, 6
	s.eachNetwork(t, func(t *testing.T, network string) {
		for round := range rounds {
			client, peer := s.sockets(t, network)
			c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
			do := func(c *websock.Conn, random *rand.Rand) {
				switch random.IntN(12) {
				case 0:
					c.Abort(errCause)
				case 1:
					c.Close()
				case 2:
					c.Pause()
				case 3, 4:
					c.Resume()
				case 5:
					c.SetRecvDeadline(time.Now().Add(time.Duration(random.IntN(1000)) * time.Microsecond))
				case 6:
					c.SetSendDeadline(time.Now().Add(time.Duration(random.IntN(1000)) * time.Microsecond))
				case 7:
					below(peer).Close()
				case 8:
					c.Cork()
				case 9:
					c.Flush()
				default:
					c.SendText([]byte("text"))
				}
			}
			h := newScript()
			var over atomic.Bool
			inside := rand.New(rand.NewPCG(uint64(round), 0))
			h.data = func(c *websock.Conn, _ string) {
				if over.Load() {
					t.Error("OnData came after OnClose")
				}
				do(c, inside)
			}
			h.close = func(c *websock.Conn) {
				over.Store(true)
				do(c, inside)
			}
			c.SetHandler(h)
			go io.Copy(io.Discard, peer)
			go func() {
				for {
					if _, err := io.WriteString(peer, "\x81\x01a\x01\x01b\x89\x00\x80\x01c"); err != nil {
						return
					}
				}
			}()
			var acting sync.WaitGroup
			for actor := range actors {
				random := rand.New(rand.NewPCG(uint64(round), uint64(actor+1)))
				acting.Go(func() {
					for range actions {
						do(c, random)
						time.Sleep(time.Duration(random.IntN(100)) * time.Microsecond)
					}
				})
			}
			returns(t, "what goroutines do", acting.Wait)
			returns(t, "Abort", func() { c.Abort(errCause) })
			wait(t, "OnClose", h.closed)
			below(peer).Close()
			select {
			case err := <-h.closed:
				t.Fatalf("OnClose came again: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
	})
}
