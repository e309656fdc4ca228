//go:build amd64 || arm64 || loong64

package netpoll

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/netpair"
)

// A process may have no descriptor left for what a peer doesn't read.
func TestPeersThatDoNotReadTakeNoMoreDescriptors(t *testing.T) {
	type stalled struct {
		tr   *Conn
		peer io.Reader
	}
	var all []stalled
	for range 20 {
		client, server := netpair.Sockets(t, "tcp")
		all = append(all, stalled{attached(t, client, nil), server})
	}
	lift := limitOpenFiles(t)
	defer lift()
	sent := make([]int, len(all))
	for i, s := range all {
		for s.tr.Queued() == 0 {
			if err := s.tr.Writev(make([]byte, 1<<20)); err != nil {
				t.Fatalf("connection %d was lost: %v", i, err)
			}
			sent[i] += 1 << 20
		}
	}
	for i, s := range all {
		if n, err := io.CopyN(io.Discard, s.peer, int64(sent[i])); err != nil {
			t.Errorf("the peer of connection %d got %d bytes of %d: %v", i, n, sent[i], err)
		}
	}
}

// limitOpenFiles lets this process open no more files until lift is called.
func limitOpenFiles(t *testing.T) (lift func()) {
	next, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	open := next.Fd()
	next.Close()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(open), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }
}
