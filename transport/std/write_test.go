package std_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestReceiverWritesAllBytesInOrder(t *testing.T) {
	for _, size := range []int{1, 64 << 20} { // the system takes all, or a part
		near, far := netpair.Sockets(t, "tcp")
		r := &replier{conn: std.New(near, nil), reply: make([]byte, size), wrote: make(chan error, 1)}
		for i := range r.reply {
			r.reply[i] = byte(i >> 10)
		}
		if err := r.conn.Push(r); err != nil {
			t.Fatal(err)
		}
		io.WriteString(far, "x")
		got := make([]byte, size)
		if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, r.reply) {
			t.Errorf("%d bytes: %v, or they differ", size, err)
		}
		if err := <-r.wrote; err != nil {
			t.Error(err)
		}
		r.conn.Close()
	}
}

func TestReceiverCannotWriteAfterTheDeadline(t *testing.T) {
	near, far := netpair.Sockets(t, "tcp")
	r := &replier{conn: std.New(near, nil), reply: []byte("late"), wrote: make(chan error, 1)}
	if err := r.conn.Push(r); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		deadline time.Time
		want     error
	}{
		{time.Unix(1, 0), os.ErrDeadlineExceeded},
		{time.Time{}, nil},
		{time.Now().Add(time.Hour), nil},
	} {
		r.conn.SetWriteDeadline(test.deadline)
		io.WriteString(far, "x")
		if err := <-r.wrote; !errors.Is(err, test.want) {
			t.Errorf("with the deadline %v: %v, want %v", test.deadline, err, test.want)
		}
	}
	r.conn.Close()
}
