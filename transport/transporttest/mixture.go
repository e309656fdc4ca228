package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// All ways of sending at once, to a peer that is slow: what was accepted arrives, once and whole,
// and what was refused does not.
func (s Suite) testWhatWasAcceptedArrivesWhateverSentIt(t *testing.T) {
	for name, z := range map[string]websock.Compression{"plain": {}, "compressed": websock.DefaultCompression} {
		t.Run(name, func(t *testing.T) {
			a, b := s.sockets(t, "tcp")
			limits := websock.Limits{SendQueue: 8 << 10}
			client := websock.NewConn(s.attach(t, a, nil), websock.Client, websock.Options{Limits: limits, Compression: z})
			server := websock.NewConn(s.attach(t, b, nil), websock.Server, websock.Options{Limits: limits, Compression: z})
			ways := map[string]func(p []byte) error{
				"SendText": client.SendText,
				"TrySend":  func(p []byte) error { return client.TrySend(websock.OpText, p) },
				"SendContext": func(p []byte) error {
					ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
					defer cancel()
					return client.SendContext(ctx, websock.OpText, p)
				},
				"SendPrepared": func(p []byte) error {
					message, err := websock.NewPreparedMessage(websock.OpText, p)
					return errors.Join(err, client.SendPrepared(message))
				},
				"Reserve": func(p []byte) error {
					sb, err := client.Reserve(len(p))
					if err != nil {
						return err
					}
					defer sb.Release()
					copied := sb
					copy(sb.Bytes(), p)
					return copied.SendText(len(p))
				},
				"NetConn": func(p []byte) error { _, err := client.NetConn(websock.OpText).Write(p); return err },
				"NextWriter": func(p []byte) error {
					w, err := client.NextWriter(websock.OpText)
					if err != nil {
						return err
					}
					defer w.Close() // once more
					_, err = w.Write(p)
					return errors.Join(err, w.Close())
				},
			}
			var accepted, refused atomic.Int32
			var sending sync.WaitGroup
			for way, send := range ways {
				for g := range 2 {
					if way == "NextWriter" && g > 0 {
						continue // there is one at a time
					}
					sending.Go(func() {
						for i := range 60 {
							size := []int{10, 3000, 7000}[i%3]
							p := []byte(fmt.Sprintf("%s %d %d ", way, g, i))
							p = append(p, strings.Repeat("x", size)...)
							switch err := send(p); {
							case err == nil:
								accepted.Add(1)
							case errors.Is(err, websock.ErrSendQueueFull), errors.Is(err, context.DeadlineExceeded), errors.Is(err, websock.ErrFrameOrder):
								refused.Add(1)
							default:
								t.Errorf("%s: %v", way, err)
							}
						}
					})
				}
			}
			go func() {
				sending.Wait()
				client.CloseWith(websock.CloseNormal, "")
			}()
			soon(t, "receiving", func() {
				seen := map[string]bool{}
				var err error
				for n := 0; err == nil; n++ {
					var msg []byte
					if _, msg, err = server.RecvMessage(nil); err != nil {
						break
					}
					head := strings.TrimRight(string(msg), "x")
					if size := len(msg) - len(head); seen[head] || size != 10 && size != 3000 && size != 7000 {
						t.Errorf("%q came twice, or torn: %d bytes", head, size)
					}
					seen[head] = true
					if n%20 == 0 {
						time.Sleep(2 * time.Millisecond)
					}
				}
				var closed *websock.CloseError
				if !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
					t.Errorf("the end: %v", err)
				}
				if len(seen) != int(accepted.Load()) {
					t.Errorf("%d messages came, %d were accepted, %d refused", len(seen), accepted.Load(), refused.Load())
				}
			})
		})
	}
}

// Readers of NextReader, timeouts in the middle and skipped rests leave the stream where it was.
func (s Suite) testReadersWithTimeoutsLoseNothing(t *testing.T) {
	client, server := s.pair(t, "tcp", websock.Limits{})
	go func() {
		for i := range 30 {
			w, err := server.NextWriter(websock.OpBinary)
			if err != nil {
				t.Error(err)
				return
			}
			for part := range 3 {
				w.Write([]byte(strings.Repeat(fmt.Sprint(part), 17<<10)))
				if i%5 == 0 {
					time.Sleep(3 * time.Millisecond)
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		server.Close()
	}()
	soon(t, "reading", func() {
		read := func(r io.Reader, p []byte) (n int) {
			for {
				client.SetRecvDeadline(time.Now().Add(time.Millisecond))
				more, err := r.Read(p[n:])
				switch n += more; {
				case err == io.EOF || n == len(p):
					return n
				case err != nil && err != websock.ErrTimeout:
					t.Error(err)
					return n
				}
			}
		}
		for i := range 30 {
			var r io.Reader
			err := websock.ErrTimeout
			for err == websock.ErrTimeout {
				client.SetRecvDeadline(time.Now().Add(time.Millisecond))
				_, r, err = client.NextReader()
			}
			if err != nil {
				t.Error(err)
				return
			}
			p := make([]byte, 3*17<<10+1)
			if i%3 > 0 {
				p = p[:i*1000] // the rest is skipped
			}
			if n := read(r, p); n < len(p)-1 || n > 0 && p[0] != '0' || n > 40<<10 && p[n-1] != '2' {
				t.Errorf("message %d: %d bytes of %d, or others", i, n, len(p))
			}
		}
		client.SetRecvDeadline(time.Time{})
		var closed *websock.CloseError
		if _, _, err := client.NextReader(); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
			t.Errorf("the end: %v", err)
		}
	})
}
