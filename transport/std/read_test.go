package std_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestWaitingConnHoldsNoBuffer(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		client, server := netpair.Sockets(t, network)
		tr := std.New(client, nil)
		if !tr.HasDescriptor() {
			t.Skip("this system has no descriptors to read from")
		}
		c := websock.NewConn(tr, websock.Client, websock.Options{})
		server.Write([]byte("\x81\x02Hi\x81\x02Ho"))
		for range 2 {
			if _, _, err := c.RecvMessage(nil); err != nil {
				t.Fatal(err)
			}
		}
		if tr.HoldsBuffer() || tr.HoldsView() {
			t.Error("a buffer is held after the last byte")
		}
		c.RecvTimeout(nil, time.Millisecond)
		if tr.HoldsBuffer() {
			t.Error("a buffer is held after a timeout")
		}
	}
}

// viewSizes returns the sizes of the next n views.
func viewSizes(t *testing.T, c *std.Conn, n int) (sizes []int) {
	t.Helper()
	for range n {
		view, err := c.View()
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(view))
		c.Consume(len(view))
	}
	return sizes
}

func TestFullReadIsFollowedByLargerRead(t *testing.T) {
	near, far := net.Pipe() // where a read returns as much as fits
	defer near.Close()
	go func() {
		defer far.Close()
		far.Write(make([]byte, std.WaitSize+std.FullWaitSize+1))
		far.Write(make([]byte, std.WaitSize+1))
	}()
	want := []int{std.WaitSize, std.FullWaitSize, 1, std.WaitSize, 1}
	if got := viewSizes(t, std.New(near, nil), len(want)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
