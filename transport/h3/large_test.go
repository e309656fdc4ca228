package h3_test

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
)

// What a peer doesn't read, its window holds back, and nothing of it is lost.
func TestALargeUploadWaitsForTheServer(t *testing.T) {
	const size, pause = 1 << 20, 10
	messages := 100
	if race.Enabled { // which makes it take long
		messages = 2 * pause
	}
	handler, accepted := accepts(t)
	s := newServer(t, handler)
	near := s.mustDial(t, websock.Config{})
	far := <-accepted
	message := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 4), 0xa5}, size/3) }
	var sent atomic.Int32
	done := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := near.SendBinary(message(i)); err != nil {
				done <- err
				return
			}
			sent.Add(1)
		}
		done <- near.CloseWith(websock.CloseNormal, "")
	}()
	waitUntil(t, "the first message is under way", func() bool { return near.Stats().WireSent > 0 })
	var buf []byte
	for i := range messages {
		if i%pause == 0 { // the server has read i messages, and no more
			time.Sleep(100 * time.Millisecond) // in which more could be sent
			if n := sent.Load(); n > int32(i)+1 {
				t.Errorf("%d messages of %d bytes were sent, and %d read", n, size, i)
			}
		}
		far.SetRecvDeadline(time.Now().Add(patience))
		_, msg, err := far.RecvMessage(buf[:0])
		if err != nil || !bytes.Equal(msg, message(i)) {
			t.Fatalf("message %d: %d bytes, %v", i, len(msg), err)
		}
		buf = msg
	}
	var closed *websock.CloseError
	if _, _, err := far.RecvMessage(nil); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
		t.Error(err)
	}
	far.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
