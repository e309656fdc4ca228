package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// strictCases are what a peer of compiled does on request, or by its limits, in either role.
var strictCases = []struct {
	name string
	run  func(c *websock.Conn) error
}{
	{"a ping of the peer is answered", func(c *websock.Conn) error {
		if err := c.SendText([]byte("ping")); err != nil {
			return err
		}
		return errors.Join(arrives(c, websock.OpText, []byte("pong there?")), c.Close())
	}},
	{"the peer closes", func(c *websock.Conn) error {
		return closedWith(c, 4002, c.SendText([]byte("close")))
	}},
	{"a message that is too large is closed with 1009", func(c *websock.Conn) error {
		go c.SendText(payload(3 << 20)) // fails if the peer closes before it has read all
		return closedWith(c, websock.CloseMessageTooBig, nil)
	}},
}

// closedWith receives the peer's close frame, unless sending what provokes it has failed.
func closedWith(c *websock.Conn, code websock.CloseCode, sent error) error {
	if sent != nil {
		return sent
	}
	c.SetRecvDeadline(time.Now().Add(patience))
	_, _, err := c.RecvMessage(nil)
	if closed := new(websock.CloseError); !errors.As(err, &closed) || closed.Code != code || closed.Local {
		return errors.Join(errors.New("not closed as expected"), err)
	}
	return c.Close()
}

func TestStrictServers(t *testing.T) {
	for _, p := range compiledPeers {
		t.Run(p.name, func(t *testing.T) {
			c := signed(t, folder(t))
			url := p.serve(t, c)
			trust := &tls.Config{RootCAs: c.roots}
			for _, secure := range []bool{false, true} {
				url := url
				if secure {
					url = "wss" + url[len("ws"):]
				}
				for _, s := range strictCases {
					t.Run(s.name, func(t *testing.T) {
						conn, err := websock.Dial(t.Context(), url, plain.config(trust, "chat"))
						if err != nil {
							t.Fatal(err)
						}
						if err := s.run(conn); err != nil {
							t.Error(err)
						}
					})
				}
			}
			t.Run("a subprotocol is required", func(t *testing.T) { requiresSubprotocol(t, url+"chat") })
			t.Run("invalid text is closed with 1007", func(t *testing.T) { refusesInvalidText(t, url) })
		})
	}
}

func requiresSubprotocol(t *testing.T, url string) {
	_, err := websock.Dial(t.Context(), url, nil)
	if refused := new(websock.HandshakeError); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("without a subprotocol: %v", err)
	}
	conn, err := websock.Dial(t.Context(), url, &websock.Config{Subprotocols: []string{"chat"}, Timeout: patience, Limits: unhurried})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(echoed(conn, websock.OpText, []byte("agreed")), conn.Close()); err != nil {
		t.Error(err)
	}
}

// refusesInvalidText writes a frame past our connection, which would refuse it, too.
func refusesInvalidText(t *testing.T, url string) {
	var raw net.Conn
	conn, err := websock.Dial(t.Context(), url, &websock.Config{Timeout: patience, Limits: unhurried, NetDial: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		raw, err = new(net.Dialer).DialContext(ctx, network, addr)
		return raw, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	text := []byte{0x81, 0x84, 0, 0, 0, 0} // a mask of zeros
	if _, err := raw.Write(slices.Concat(text, []byte("ab\xff\xfe"))); err != nil {
		t.Fatal(err)
	}
	if err := closedWith(conn, websock.CloseInvalidPayload, nil); err != nil {
		t.Error(err)
	}
}

func TestStrictClients(t *testing.T) {
	for _, p := range compiledPeers {
		t.Run(p.name, func(t *testing.T) {
			c := signed(t, folder(t))
			r := newAcceptor(t, c)
			urls := slices.Repeat([]string{r.urls[secure]}, len(strictCases))
			p.dial(t, c.files["authority"], urls...)
			for _, s := range strictCases {
				conn, err := r.await(secure)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(s.name, func(t *testing.T) {
					if err := s.run(conn); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
