//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
)

// plenty is more bytes than the system takes for a peer that doesn't read.
const plenty = 16 << 20

func TestWritevDoesNotBlockOnASlowPeer(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := netpair.Sockets(t, network)
		tr := attached(t, client, nil)
		want := make([]byte, plenty)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		written := make(chan error, 1)
		go func() {
			for p := range slices.Chunk(want, 1<<20) {
				if err := tr.Writev(p[:len(p)/2], p[len(p)/2:]); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("it blocks")
		}
		if tr.Queued() == 0 {
			t.Error("nothing is queued")
		}
		got := make([]byte, plenty)
		if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the peer got something else: %v", err)
		}
		if err := tr.Drain(context.Background(), 0); err != nil || tr.Queued() != 0 {
			t.Errorf("%v, %d queued", err, tr.Queued())
		}
		if err := tr.Writev([]byte("after")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(server, got[:5]); string(got[:5]) != "after" || err != nil {
			t.Errorf("%q, %v", got[:5], err)
		}
	})
}

func TestDrainWaitsOnlyForTheBytesAskedFor(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	tr := attached(t, client, nil)
	fillQueue(t, tr)
	tr.Writev(make([]byte, plenty))
	drained := make(chan error, 1)
	go func() { drained <- tr.Drain(context.Background(), 1<<20) }()
	select {
	case err := <-drained:
		t.Fatalf("returned before the peer read: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	go io.Copy(io.Discard, server)
	if err := <-drained; err != nil || tr.Queued() > 1<<20 {
		t.Errorf("%v, %d queued", err, tr.Queued())
	}
}

func TestWriteDeadlineIsFatal(t *testing.T) {
	late := map[string]func(tr *Conn) error{
		"while queued": func(tr *Conn) error {
			tr.Writev(make([]byte, plenty))
			tr.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			return tr.Drain(context.Background(), 0)
		},
		"before queued": func(tr *Conn) error {
			tr.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			tr.Writev(make([]byte, plenty))
			return tr.Drain(context.Background(), 0)
		},
		"before the write": func(tr *Conn) error {
			tr.SetWriteDeadline(time.Now())
			return tr.Writev([]byte("x"))
		},
	}
	for when, send := range late {
		t.Run(when, func(t *testing.T) {
			client, server := netpair.Sockets(t, "tcp")
			tr := attached(t, client, nil)
			if err := send(tr); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			tr.SetWriteDeadline(time.Time{})
			if err := tr.Writev([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("afterwards: %v", err)
			}
			io.WriteString(server, "still received")
			view, err := tr.View()
			if failed := (*transport.SendError)(nil); errors.As(err, &failed) { // if bytes were queued
				view, err = tr.View()
			}
			if string(view) != "still received" || err != nil {
				t.Errorf("receiving: %q, %v", view, err)
			}
			if n := tr.Queued(); n != 0 {
				t.Errorf("%d queued", n)
			}
		})
	}
}

func TestSendDeadlineIsFatal(t *testing.T) {
	client, _ := netpair.Sockets(t, "tcp")
	c := websock.NewConn(attached(t, client, nil), websock.Client, websock.Options{Limits: websock.Limits{CloseTimeout: 50 * time.Millisecond}})
	c.SetSendDeadline(time.Now().Add(20 * time.Millisecond))
	c.SendBinary(make([]byte, plenty))
	if _, _, err := c.RecvMessage(nil); err == nil {
		t.Error("receiving still works")
	}
	c.SetSendDeadline(time.Time{})
	if err := c.SendText(nil); err == nil {
		t.Error("sending still works")
	}
}
