package transporttest

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A Handler that doesn't return doesn't keep the peer: it sees the close frame at once, and the
// end of the stream when Limits.CloseTimeout is over. OnClose is told what the peer has answered
// if the Handler returns before the connection is closed for good, after as long again.
func (s Suite) testAHandlerThatHangsDoesNotKeepThePeer(t *testing.T) {
	const timeout = 300 * time.Millisecond
	tests := []struct {
		name    string
		answers bool // the peer answers the close frame
		longer  bool // the Handler returns when the connection is closed for good
		err     error
	}{
		{"the peer answers", true, false, websock.ErrClosed},
		{"the peer does not answer", false, true, websock.ErrTimeout},
		{"the answer comes to a Handler that hangs too long", true, true, websock.ErrTimeout},
	}
	s.eachRole(t, func(t *testing.T, role websock.Role) {
		message, answer := "\x81\x04hang", "\x88\x02\x0f\xa0"
		if role == websock.Server {
			message, answer = "\x81\x84\x00\x00\x00\x00hang", "\x88\x82\x00\x00\x00\x00\x0f\xa0"
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				near, far := s.sockets(t, "tcp")
				c := s.conn(t, near, role, websock.Limits{CloseTimeout: timeout})
				entered, release := make(chan bool, 1), make(chan bool)
				ended := make(chan error, 1)
				c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
					entered <- true
					<-release
				}, func(_ *websock.Conn, err error) { ended <- err }))
				far.Write([]byte(message))
				wait(t, "the Handler", entered)
				if err := c.CloseWith(4000, ""); err != nil {
					t.Error(err)
				}
				read := make(chan byte, 1)
				go func() {
					buf := make([]byte, 100)
					for {
						n, err := far.Read(buf)
						if err != nil {
							close(read)
							return
						}
						if test.answers {
							far.Write([]byte(answer))
						}
						if n > 0 {
							read <- buf[0]
						}
					}
				}()
				if first := wait(t, "the close frame", read); first != 0x88 {
					t.Errorf("the peer got %#x", first)
				}
				wait(t, "the end of the stream", read)
				if test.longer {
					time.Sleep(2 * timeout)
				}
				close(release)
				var closed *websock.CloseError
				if err := wait(t, "OnClose", ended); !errors.As(err, &closed) || closed.Code != 4000 || !errors.Is(err, test.err) {
					t.Errorf("OnClose got %v", err)
				}
			})
		}
	})
}

// A send to a peer that takes nothing returns at its deadline, also while the Handler of the
// connection hangs, and the end that follows is the one that every failed send has.
func (s Suite) testASendDeadlineHoldsWhileAHandlerHangs(t *testing.T) {
	deadlines := map[string]func(c *websock.Conn){
		"set before": func(c *websock.Conn) { c.SetSendDeadline(time.Now().Add(100 * time.Millisecond)) },
		"set meanwhile": func(c *websock.Conn) {
			c.SetSendDeadline(time.Now().Add(time.Hour))
			time.AfterFunc(50*time.Millisecond, func() { c.SetSendDeadline(time.Now().Add(50 * time.Millisecond)) })
		},
	}
	for name, setDeadline := range deadlines {
		t.Run(name, func(t *testing.T) {
			near, far := s.sockets(t, "tcp")
			c := s.conn(t, near, websock.Client, websock.Limits{CloseTimeout: 100 * time.Millisecond, WhenFull: websock.QueueWaits})
			entered, release := make(chan bool, 1), make(chan bool)
			ended := make(chan error, 1)
			c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
				entered <- true
				<-release
			}, func(_ *websock.Conn, err error) { ended <- err }))
			far.Write([]byte("\x81\x04hang"))
			wait(t, "the Handler", entered)
			setDeadline(c)
			sent := make(chan error, 1)
			go func() {
				for {
					if err := c.SendBinary(make([]byte, 4<<20)); err != nil {
						sent <- err
						return
					}
				}
			}()
			if err := wait(t, "the send", sent); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the send returned %v", err)
			}
			close(release)
			if err := wait(t, "OnClose", ended); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("OnClose got %v", err)
			}
		})
	}
}
