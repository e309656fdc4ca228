package h2_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// Many goroutines open streams, send and receive in all ways, and end them in all ways. Nothing is mixed
// up, and nothing is left.
func TestManyStreamsAtOnce(t *testing.T) {
	workers, rounds := 16, 12
	if testing.Short() {
		rounds = 3
	}
	eachCarrier(t, func(t *testing.T, c carrier) {
		near, far := c.conns(t)
		time.Sleep(10 * time.Millisecond) // what others have left
		goroutines, lent := runtime.NumGoroutine(), buffer.Lent()
		server, err := h2.NewServer(far, h2.Config{Window: 20_000, Request: func(st *h2.Stream, h h2.Head) {
			st.SendHead(status("200"), false)
			if st.ID()%4 == 1 {
				st.Push(newEcho(st))
			} else {
				go echoPulled(st)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		client, err := h2.NewClient(near, h2.Config{Window: 30_000})
		if err != nil {
			t.Fatal(err)
		}
		var working sync.WaitGroup
		for i := range workers {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			working.Go(func() {
				for range rounds {
					useStream(t, client, random)
				}
			})
		}
		done := make(chan bool)
		go func() { working.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(2 * patience):
			t.Fatalf("it hangs with %d and %d streams, %v, %v", client.Streams(), server.Streams(), client.Err(), server.Err())
		}
		waitFor(t, func() bool { return client.Streams() == 0 && server.Streams() == 0 })
		server.Shutdown()
		<-client.Done()
		<-server.Done()
		if !errors.Is(client.Err(), net.ErrClosed) || !errors.Is(server.Err(), net.ErrClosed) {
			t.Errorf("they ended with %v and %v", client.Err(), server.Err())
		}
		waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines && buffer.Lent() <= lent })
	})
}

func echoPulled(st *h2.Stream) {
	defer st.Close()
	for {
		view, err := st.View()
		if err != nil {
			st.CloseWrite()
			st.Linger(patience)
			return
		}
		err = st.Writev(view)
		st.Consume(len(view))
		if err != nil || st.Drain(context.Background(), 50_000) != nil {
			return
		}
	}
}

// useStream opens a stream to an echo, and ends it.
func useStream(t *testing.T, client *h2.Session, random *rand.Rand) {
	st, err := client.Open(connect, false)
	if err != nil {
		t.Error(err)
		return
	}
	defer st.Close()
	if _, err := st.Head(t.Context()); err != nil {
		t.Error(err)
		return
	}
	sent := numbered(1 << random.IntN(18))
	var sending sync.WaitGroup
	defer sending.Wait()
	quits := random.IntN(3) == 0 // in the middle
	sending.Go(func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(40_000))
			if st.Writev(rest[:n/2], rest[n/2:n]) != nil {
				return // it has ended
			}
			rest = rest[n:]
		}
		if !quits {
			st.CloseWrite()
		}
	})
	how := rand.New(rand.NewPCG(uint64(len(sent)), uint64(st.ID())))
	if quits {
		io.ReadFull(st, make([]byte, len(sent)/2))
		switch how.IntN(4) {
		case 0:
			st.Close()
		case 1:
			st.Reset(http2.ErrCodeInternal)
		case 2:
			st.SetReadDeadline(time.Now().Add(time.Millisecond))
			for err == nil {
				_, err = st.Read(make([]byte, 10_000))
				time.Sleep(time.Millisecond)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		case 3:
			st.Linger(time.Millisecond)
		}
		return
	}
	var got []byte
	if how.IntN(2) == 0 {
		got, err = io.ReadAll(st)
	} else {
		done := make(chan error, 1)
		st.Push(&collector{st: st, into: &got, done: done, random: how})
		select {
		case err = <-done:
		case <-time.After(patience):
			t.Error("the Receiver got no end")
			return
		}
	}
	if err != nil && err != io.EOF || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
	}
}

// A collector is a Receiver that keeps what it gets, with pauses.
type collector struct {
	st     *h2.Stream
	into   *[]byte
	done   chan error
	random *rand.Rand
	err    error
}

func (c *collector) Readable() error {
	for {
		view, err := c.st.View()
		switch {
		case err == transport.ErrWouldBlock:
			return nil
		case err != nil:
			c.err = err
			return err
		}
		n := 1 + c.random.IntN(len(view))
		*c.into = append(*c.into, view[:n]...)
		c.st.Consume(n)
		switch c.random.IntN(30) {
		case 0:
			c.st.Pause()
			go c.st.Resume()
			return nil
		case 1:
			c.st.Yield()
			return nil
		}
	}
}

func (c *collector) End(err error) { c.err = err }

func (c *collector) Finish() {
	c.st.Close()
	c.done <- c.err
}
