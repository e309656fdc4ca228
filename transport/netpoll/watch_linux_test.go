//go:build amd64 || arm64 || loong64

package netpoll

import (
	"testing"
	"time"

	"github.com/cloudwego/netpoll"
	"github.com/seed004e8d11/websock/internal/spare"
	"golang.org/x/sys/unix"
)

// A busyPoll is a poller that is in the middle of something when an operator is given back.
type busyPoll struct {
	netpoll.Poll
	done chan struct{}
}

func (p *busyPoll) Free(operator *netpoll.FDOperator) {
	<-p.done
	p.Poll.Free(operator)
}

func TestADescriptorIsFreeOnlyWhenThePollerIsDoneWithIt(t *testing.T) {
	poll, err := pick()
	if err != nil {
		t.Fatal(err)
	}
	busy := &busyPoll{poll, make(chan struct{})}
	client, server := sockets(t, "tcp")
	d, err := spare.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := (&reservation{busy, d}).attach(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	is := inode(tr.fd)
	tr.Close()
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Error("the peer isn't told of the end")
	}
	if inode(tr.fd) != is {
		t.Fatal("the descriptor can be another's while the poller may use it")
	}
	close(busy.done)
	for inode(tr.fd) == is {
		time.Sleep(time.Millisecond)
	}
}

// inode returns what tells the open files of descriptors apart; 0 if there is none.
func inode(fd int) uint64 {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil {
		return 0
	}
	return stat.Ino
}
