//go:build linux

package epoll

import (
	"bytes"
	"testing"
)

func TestWritevKeepsTheOrderOfItsSlicesWhileThePeerReads(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		c, peer := attached(t, network)
		const slices, size = 4000, 1500
		var bufs [][]byte
		for n := range slices {
			bufs = append(bufs, numbered(n, size))
		}
		want := bytes.Join(bufs, nil)
		written := make(chan error, 1)
		go func() { written <- c.Writev(bufs...) }()
		readAll(t, peer, want)
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}
