package conformance

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/tls"
)

// patience bounds every wait for a peer or for the connection under test.
const patience = time.Minute

// A network connects an endpoint under test, over a transport and loopback, to a peer that uses
// nothing of this module.
type network struct {
	factory  transport.Factory
	listener net.Listener
	tls      *stdtls.Config            // for both roles; nil: without TLS
	sessions map[websock.Role]*session // whose streams are the connections; nil: each has a socket
}

func newNetwork(t *testing.T, factory transport.Factory, secure bool) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	n := &network{factory: factory, listener: l}
	if secure {
		n.tls = selfSigned(t)
	}
	return n
}

const hostName = "peer.example"

// selfSigned returns a config with a self-signed certificate that it trusts.
func selfSigned(t *testing.T) *stdtls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{hostName}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &stdtls.Config{
		Certificates: []stdtls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      roots,
		ServerName:   hostName,
		MinVersion:   stdtls.VersionTLS12,
	}
}

// connect returns both ends of a connection: ours, which has role, and the peer's.
func (n *network) connect(role websock.Role) (ours, peer net.Conn, err error) {
	dialed, err := net.Dial("tcp", n.listener.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	accepted, err := n.listener.Accept()
	if err != nil {
		dialed.Close()
		return nil, nil, err
	}
	ours, peer = dialed, accepted
	if role == websock.Server {
		ours, peer = accepted, dialed
	}
	peer.SetDeadline(time.Now().Add(patience))
	if n.tls != nil {
		ours, peer, err = n.secure(role, ours, peer)
	}
	if err != nil {
		dialed.Close()
		accepted.Close()
	}
	return ours, peer, err
}

// secure makes TLS connections: ours by package transport/tls, the peer's by crypto/tls.
func (n *network) secure(role websock.Role, ours, peer net.Conn) (net.Conn, net.Conn, error) {
	if role == websock.Client {
		theirs := stdtls.Server(peer, n.tls)
		shaken := make(chan error, 1)
		go func() { shaken <- theirs.Handshake() }()
		secured, err := tls.Client(context.Background(), ours, hostName, n.tls)
		return secured, theirs, errors.Join(err, <-shaken)
	}
	secured, theirs := tls.Server(ours, n.tls), stdtls.Client(peer, n.tls)
	shaken := make(chan error, 1)
	go func() { shaken <- theirs.Handshake() }()
	return secured, theirs, errors.Join(secured.Handshake(), <-shaken)
}

// open is connect with a transport.
func (n *network) open(role websock.Role) (ours transport.Conn, peer net.Conn, err error) {
	if n.sessions != nil {
		st, peer, err := n.sessions[role].open()
		if err != nil {
			return nil, nil, err
		}
		peer.SetDeadline(time.Now().Add(patience))
		return st, peer, nil
	}
	conn, peer, err := n.connect(role)
	if err != nil {
		return nil, nil, err
	}
	if ours, err = websock.Attach(n.factory, conn, nil); err != nil {
		conn.Close()
		peer.Close()
	}
	return ours, peer, err
}

// converse runs an application on a connection to the peer of a stream, and checks what the peer
// received and how the connection ended.
func (n *network) converse(s *stream, a application, play peerScript) error {
	transport, peer, err := n.open(s.role)
	if err != nil {
		return err
	}
	defer peer.Close()
	limits := s.row.limits
	limits.SendQueue = 2 * largest // no echo of a Handler is refused
	c := websock.NewConn(transport, s.role, websock.Options{Limits: limits, Compression: s.row.compression})
	ended := make(chan error, 1)
	if a.pull != nil {
		go func() {
			err := a.pull(c)
			if failed := c.Close(); failed != nil {
				err = fmt.Errorf("%w; Close: %w", err, failed)
			}
			ended <- err
		}()
	} else if err := c.SetHandler(a.handler(func(err error) { ended <- err })); err != nil {
		return err
	}
	defer c.Close()
	if err := playPeer(peer, s, play, n.sessions != nil); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return s.checkEnd(err)
	case <-time.After(patience):
		return errors.New("the connection did not end")
	}
}

// playPeer plays the peer until the connection has ended. isStream says that it is a stream of HTTP/2.
func playPeer(peer net.Conn, s *stream, play peerScript, isStream bool) error {
	in := bufio.NewReader(peer)
	if err := play(peer, in, s); err != nil {
		return err
	}
	// The server closes first (RFC 6455 section 7.1.1), but a client ends its stream without waiting.
	if s.role == websock.Client || isStream {
		peer.(interface{ CloseWrite() error }).CloseWrite()
	}
	// A connection that is closed with unread bytes is reset, which is a valid end.
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		return fmt.Errorf("%x was sent after the last answer", rest)
	}
	peer.Close() // over TLS it fails if the other end is closed
	return nil
}

// A peerScript sends what the peer of a stream sends, and returns when all answers have arrived.
type peerScript func(w io.Writer, in *bufio.Reader, s *stream) error

// stepwise sends no more than the next answer needs, and waits for it.
func stepwise(w io.Writer, in *bufio.Reader, s *stream) error {
	from, answers := 0, s.answersFrom(in)
	for _, want := range s.answers {
		if err := write(w, s, span{from, want.after}); err != nil {
			return err
		}
		from = want.after
		if err := expect(answers, want.frame); err != nil {
			return err
		}
	}
	write(w, s, span{from, len(s.bytes)}) // the other end may be closed
	return nil
}

// atOnce sends everything without waiting for answers.
func atOnce(w io.Writer, in *bufio.Reader, s *stream) error {
	written, answers := make(chan struct{}), s.answersFrom(in)
	go func() {
		write(w, s, span{0, len(s.bytes)}) // the other end may be closed before the last of it
		close(written)
	}()
	for _, want := range s.answers {
		if err := expect(answers, want.frame); err != nil {
			return err
		}
	}
	<-written
	return nil
}

// write writes a part of a stream in the pieces of its row.
func write(w io.Writer, s *stream, part span) error {
	at := 0
	for _, piece := range s.written() {
		from, to := max(at, part.from), min(at+len(piece), part.to)
		if from < to {
			if _, err := w.Write(s.bytes[from:to]); err != nil {
				return err
			}
		}
		at += len(piece)
	}
	return nil
}

func expect(answers *answerReader, want frame) error {
	got, err := answers.next()
	if err != nil {
		return fmt.Errorf("want %v: %w", want, err)
	}
	return got.is(want)
}
