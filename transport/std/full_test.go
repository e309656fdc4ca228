package std

import (
	"net"
	"slices"
	"testing"
)

// viewSizes returns how much n views have.
func viewSizes(t *testing.T, c *Conn, n int) (sizes []int) {
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
		far.Write(make([]byte, waitSize+fullWaitSize+1))
		far.Write(make([]byte, waitSize+1))
	}()
	want := []int{waitSize, fullWaitSize, 1, waitSize, 1}
	if got := viewSizes(t, New(near, nil), len(want)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
