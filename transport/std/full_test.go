package std_test

import (
	"net"
	"slices"
	"testing"

	"github.com/seed004e8d11/websock/transport/std"
)

// viewSizes returns how much n views have.
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

func TestAReadThatFillsItsBufferIsFollowedByALargerOne(t *testing.T) {
	near, far := net.Pipe() // where a read gives what fits
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
