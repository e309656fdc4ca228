package transporttest

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func (s Suite) testCloseFromAnotherGoroutineEndsAReceive(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{})
		served := make(chan error, 1)
		go func() { served <- echo(server) }()
		received := make(chan error, 1)
		go func() {
			_, _, err := client.RecvMessage(nil)
			received <- err
		}()
		time.Sleep(5 * time.Millisecond)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		var closed *websock.CloseError
		if err := <-received; !errors.As(err, &closed) || !closed.Local {
			t.Errorf("the receive returned %v", err)
		}
		if err := <-served; !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
			t.Errorf("the peer got %v", err)
		}
	})
}

func (s Suite) testBothSidesClosingAtOnce(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} { // a pipe has no buffer for what both send
		for range 20 {
			client, server := s.pair(t, network, websock.Limits{CloseTimeout: 10 * time.Second})
			var closers sync.WaitGroup
			for _, c := range []*websock.Conn{client, server} {
				closers.Go(func() {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			closers.Wait()
		}
	}
}

func (s Suite) testCloseDiscardsWhatAFloodingPeerSends(t *testing.T) {
	client, server := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 50 * time.Millisecond})
	flooding := make(chan struct{})
	go func() {
		defer close(flooding)
		for {
			if _, err := server.Write(bytes.Repeat([]byte("\x82\x01x"), 1000)); err != nil {
				return
			}
		}
	}()
	if _, _, err := c.RecvMessage(nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); !errors.Is(err, websock.ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	<-flooding
}

func (s Suite) testCloseGivesUpOnAPeerThatDoesNotRead(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 50 * time.Millisecond})
	blocked := make(chan error, 1)
	go func() { blocked <- c.SendBinary(make([]byte, 64<<20)) }()
	for c.Stats().Writes == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(); err == nil {
		t.Error("Close reports success")
	}
	if err := <-blocked; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the send that was under way: %v", err)
	}
}
