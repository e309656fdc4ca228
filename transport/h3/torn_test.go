package h3_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/seed004e8d11/websock"
)

// A stream that ends inside a frame is an error of the whole connection (RFC 9114 section 7.1), so a stream
// is reset if a DATA frame can't be completed.
func TestAFrameThatIsCutOffResetsTheStream(t *testing.T) {
	for _, how := range []string{"a deadline", "Abort"} {
		begun, read, ended := make(chan bool), make(chan bool), make(chan error, 1)
		s := newRawServer(t, &quic.Config{InitialStreamReceiveWindow: 10_000, MaxStreamReceiveWindow: 10_000}, func(c *rawConn) {
			c.settle(extendedConnect)
			if s := c.accept(); s != nil {
				s.Peek(make([]byte, 1))
				close(begun)
				<-read
				_, err := io.Copy(io.Discard, s)
				ended <- err
			}
		})
		c := s.mustDial(t, websock.Config{})
		sent := make(chan error, 1)
		go func() { sent <- c.SendBinary(make([]byte, 1<<20)) }()
		<-begun
		if how == "Abort" {
			c.Abort(nil)
		} else {
			c.SetSendDeadline(time.Now())
		}
		if err := <-sent; err == nil {
			t.Errorf("%s: the send reports success", how)
		}
		c.Abort(nil)
		close(read)
		var reset *quic.StreamError
		if err := <-ended; !errors.As(err, &reset) || !reset.Remote {
			t.Errorf("%s: the server reads %v", how, err)
		}
	}
}
