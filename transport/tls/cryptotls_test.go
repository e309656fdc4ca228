package tls

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"testing"
)

// These tests check what this package requires of crypto/tls, parts of which are not documented. If
// one fails with a new version of Go, it shows what has changed.

// scriptedTLS returns a tls.Conn of crypto/tls over a scriptedConn, and the records in which its peer
// sends each of texts, after those with session tickets and before those of its end.
func scriptedTLS(t *testing.T, version uint16, texts ...string) (conn *tls.Conn, script *scriptedConn, records [][]byte) {
	t.Helper()
	a, b := memPipe()
	script = &scriptedConn{memConn: *a}
	clientConfig, serverConfig := configs(version)
	clientConfig.ServerName = "example.com"
	server := tls.Server(b, serverConfig)
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	conn = tls.Client(script, clientConfig)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	records = append(records, a.in.take()) // session tickets
	for _, text := range texts {
		io.WriteString(server, text)
		records = append(records, a.in.take())
	}
	server.CloseWrite()
	return conn, script, append(records, a.in.take())
}

func TestCryptoTLSDeadlineInsideRecordLosesNothing(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		conn, script, records := scriptedTLS(t, version, "text")
		var steps []readStep
		for _, record := range records {
			for i := range record {
				steps = append(steps, readStep{nil, os.ErrDeadlineExceeded}, readStep{record[i : i+1], nil})
			}
		}
		script.play(steps...)
		var got []byte
		p := make([]byte, 10)
		for {
			n, err := conn.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil && err != os.ErrDeadlineExceeded {
				t.Fatal(err)
			}
		}
		if string(got) != "text" || len(script.steps) != 1 {
			t.Errorf("%q, %d steps left", got, len(script.steps)-1)
		}
	})
}

func TestCryptoTLSUsesBytesReadWithDeadlineError(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		conn, script, records := scriptedTLS(t, version, "text")
		var steps []readStep
		for _, record := range records {
			for i := range record {
				steps = append(steps, readStep{record[i : i+1], os.ErrDeadlineExceeded})
			}
		}
		script.play(steps...)
		p := make([]byte, 10)
		for len(script.steps) > 1 {
			n, err := conn.Read(p)
			switch {
			case err == io.EOF || err == os.ErrDeadlineExceeded:
			case err != nil:
				t.Fatal(err)
			case string(p[:n]) != "text":
				t.Errorf("%q", p[:n])
			}
		}
	})
}

func TestCryptoTLSMayReturnEOFWithLastBytes(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		conn, script, records := scriptedTLS(t, version, "text")
		var all []byte
		for _, record := range records {
			all = append(all, record...)
		}
		script.play(readStep{all, nil})
		p := make([]byte, 10)
		n, err := conn.Read(p)
		if string(p[:n]) != "text" || err != nil && err != io.EOF {
			t.Errorf("%q, %v", p[:n], err)
		}
		if _, err := conn.Read(p); err != io.EOF {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestCryptoTLSReadOfOneByteKeepsRest(t *testing.T) {
	conn, script, records := scriptedTLS(t, tls.VersionTLS13, "text")
	script.play(readStep{append(records[0], records[1]...), nil})
	p := make([]byte, 10)
	if n, err := conn.Read(p[:1]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := conn.Read(p); string(p[:n]) != "ext" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	if _, err := conn.Read(p); err != os.ErrDeadlineExceeded {
		t.Error(err)
	}
}

func TestDeadlineExceededIsTemporaryNetError(t *testing.T) {
	e, ok := os.ErrDeadlineExceeded.(net.Error)
	//lint:ignore SA1019 crypto/tls calls Temporary
	if !ok || !e.Temporary() {
		t.Errorf("%T", os.ErrDeadlineExceeded)
	}
}

func TestCryptoTLSNetConnReturnsWire(t *testing.T) {
	a, _ := memPipe()
	w := &wire{conn: a}
	if got := tls.Client(w, &tls.Config{}).NetConn(); got != w {
		t.Errorf("a client's is a %T", got)
	}
	if got := tls.Server(w, &tls.Config{}).NetConn(); got != w {
		t.Errorf("a server's is a %T", got)
	}
}
