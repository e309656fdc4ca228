package tls

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"testing"
)

// These tests don't test this package but what it stands on in crypto/tls, parts of which
// aren't documented. One that fails with a new version of Go says what has changed.

// A scripted is a net.Conn whose reads give one step each.
type scripted struct {
	end
	steps []step
}

type step struct {
	data []byte
	err  error
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.steps == nil {
		return s.end.Read(p) // the handshake
	}
	if len(s.steps) == 1 {
		return 0, os.ErrDeadlineExceeded
	}
	next := s.steps[1]
	s.steps = append(s.steps[:1], s.steps[2:]...)
	return copy(p, next.data), next.err
}

// play gives what conn reads from now on.
func (s *scripted) play(steps ...step) { s.steps = append([]step{{}}, steps...) }

// overScript returns a plain tls.Conn over a script, with the records in which its peer sends
// each of texts.
func overScript(t *testing.T, version uint16, texts ...string) (conn *tls.Conn, script *scripted, records [][]byte) {
	t.Helper()
	a, b := cable()
	script = &scripted{end: *a}
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

func TestStandardADeadlineWithinARecordLosesNothing(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		conn, script, records := overScript(t, version, "text")
		var steps []step
		for _, record := range records {
			for i := range record {
				steps = append(steps, step{nil, os.ErrDeadlineExceeded}, step{record[i : i+1], nil})
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

func TestStandardBytesThatComeWithADeadlineCount(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		conn, script, records := overScript(t, version, "text")
		var steps []step
		for _, record := range records {
			for i := range record {
				steps = append(steps, step{record[i : i+1], os.ErrDeadlineExceeded})
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

func TestStandardTheEndCanComeWithTheLastBytes(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		conn, script, records := overScript(t, version, "text")
		var all []byte
		for _, record := range records {
			all = append(all, record...)
		}
		script.play(step{all, nil})
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

func TestStandardAReadOfOneByteLeavesTheRest(t *testing.T) {
	conn, script, records := overScript(t, tls.VersionTLS13, "text")
	script.play(step{append(records[0], records[1]...), nil})
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

func TestStandardADeadlineOfTheConnectionBelowIsATemporaryNetError(t *testing.T) {
	e, ok := os.ErrDeadlineExceeded.(net.Error)
	//lint:ignore SA1019 crypto/tls asks for it
	if !ok || !e.Temporary() {
		t.Errorf("%T", os.ErrDeadlineExceeded)
	}
}

func TestStandardNetConnIsWhatWasWrapped(t *testing.T) {
	a, _ := cable()
	w := &wire{conn: a}
	if got := tls.Client(w, &tls.Config{}).NetConn(); got != w {
		t.Errorf("a client's is a %T", got)
	}
	if got := tls.Server(w, &tls.Config{}).NetConn(); got != w {
		t.Errorf("a server's is a %T", got)
	}
}
