package std

import (
	"slices"
	"testing"

	"github.com/seed004e8d11/websock/internal/transporttest"
)

func TestMuchThatWaitsInASocketTakesFewReads(t *testing.T) {
	near, far := transporttest.Sockets(t, "unix")
	if _, err := far.Write(make([]byte, readSize+fullSize/2)); err != nil {
		t.Fatal(err)
	}
	want := []int{readSize, fullSize / 2}
	if got := viewSizes(t, New(near, nil), len(want)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
