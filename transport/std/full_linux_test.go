package std_test

import (
	"slices"
	"testing"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestMuchThatWaitsInASocketTakesFewReads(t *testing.T) {
	near, far := netpair.Sockets(t, "unix")
	if _, err := far.Write(make([]byte, std.ReadSize+std.FullReadSize/2)); err != nil {
		t.Fatal(err)
	}
	want := []int{std.ReadSize, std.FullReadSize / 2}
	if got := viewSizes(t, std.New(near, nil), len(want)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
