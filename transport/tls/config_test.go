package tls

import (
	"container/list"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"testing"
)

func TestConfigForDoesNotModifyCallersConfig(t *testing.T) {
	own := &tls.Config{NextProtos: []string{"h2"}, Renegotiation: tls.RenegotiateFreelyAsClient}
	got := configFor("example.com", own)
	if got.ServerName != "example.com" || len(got.NextProtos) != 1 || got.NextProtos[0] != "http/1.1" || got.Renegotiation != tls.RenegotiateNever {
		t.Errorf("%q, %q, %v", got.ServerName, got.NextProtos, got.Renegotiation)
	}
	if own.ServerName != "" || own.NextProtos[0] != "h2" || own.Renegotiation != tls.RenegotiateFreelyAsClient {
		t.Error("the caller's config was modified")
	}
	if got := configFor("example.com", &tls.Config{ServerName: "other"}); got.ServerName != "other" {
		t.Errorf("ServerName %q, want the caller's", got.ServerName)
	}
}

func TestAClientOffersTheProtocolsThatItIsGiven(t *testing.T) {
	own := &tls.Config{NextProtos: []string{"own"}}
	for _, offered := range [][]string{nil, {"h2", "http/1.1"}, {"http/1.1"}} {
		want := offered
		if offered == nil {
			want = []string{"http/1.1"}
		}
		if got := configFor("example.com", own, offered...).NextProtos; !slices.Equal(got, want) {
			t.Errorf("%q: offers %q", offered, got)
		}
	}
}

func TestSessionsAreNotResumedWithOtherProtocols(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		client, server := configs(version)
		server.NextProtos = []string{"h2", "http/1.1"}
		for _, test := range []struct {
			protocols []string
			resumes   bool
			agreed    string
		}{
			{nil, false, "http/1.1"},
			{[]string{"h2", "http/1.1"}, false, "h2"},
			{[]string{"h2", "http/1.1"}, true, "h2"},
			{[]string{"http/1.1"}, true, "http/1.1"}, // what nil means
		} {
			state := connected(t, "example.com", client, server, test.protocols...)
			if state.DidResume != test.resumes || state.NegotiatedProtocol != test.agreed {
				t.Errorf("%q: resumed %v, %s", test.protocols, state.DidResume, state.NegotiatedProtocol)
			}
		}
	})
}

func TestServerName(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "example.com", "example.com.": "example.com",
		"[::1]": "::1", "fe80::1%eth0": "fe80::1", "127.0.0.1": "127.0.0.1",
	} {
		if got := configFor(host, nil).ServerName; got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

// resumed performs a handshake with host and reports whether a session was resumed.
func resumed(t *testing.T, host string, client, server *tls.Config) bool {
	t.Helper()
	return connected(t, host, client, server).DidResume
}

// connected performs a handshake with host, and reads what the server sends after it.
func connected(t *testing.T, host string, client, server *tls.Config, protocols ...string) tls.ConnectionState {
	t.Helper()
	a, b := memPipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	s := Server(b, server)
	go func() {
		_, err := s.Write([]byte("x")) // after the tickets
		done <- err
	}()
	c, err := Client(t.Context(), a, host, client, protocols...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState()
}

func TestSessionsAreResumed(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		client, server := configs(version)
		for i, want := range []bool{false, true, true} {
			if got := resumed(t, "example.com", client, server); got != want {
				t.Errorf("handshake %d: resumed %v", i, got)
			}
		}
		if client.ClientSessionCache != nil || client.ServerName != "" {
			t.Error("the caller's tls.Config was modified")
		}
		if !resumed(t, "EXAMPLE.com", withName(client, "example.com"), server) {
			return // as expected: the config is another one
		}
		t.Error("a session was resumed with another config")
	})
}

func withName(config *tls.Config, name string) *tls.Config {
	config = config.Clone()
	config.ServerName = name
	return config
}

// Configs with equal contents may stand for different clients.
func TestSessionIsNotResumedWithOtherConfig(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		client, server := configs(version)
		resumed(t, "example.com", client, server)
		careless := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
		strict := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com", MinVersion: version, MaxVersion: version}
		if resumed(t, "example.com", client.Clone(), server) || resumed(t, "example.com", careless, server) {
			t.Error("a session of another config was resumed")
		}
		a, b := memPipe()
		defer a.Close()
		defer b.Close()
		go Server(b, server).Handshake()
		if _, err := Client(t.Context(), a, "example.com", strict); err == nil {
			t.Error("a session that another config has verified was resumed")
		}
	})
}

func TestConfigsThatPreventResumption(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		own := tls.NewLRUClientSessionCache(1)
		for name, test := range map[string]struct {
			change func(*tls.Config)
			want   bool
		}{
			"VerifyPeerCertificate": {func(c *tls.Config) {
				c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
			}, false},
			"GetClientCertificate": {func(c *tls.Config) {
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
			}, false},
			"SessionTicketsDisabled": {func(c *tls.Config) { c.SessionTicketsDisabled = true }, false},
			"its own cache":          {func(c *tls.Config) { c.ClientSessionCache = own }, true},
		} {
			client, server := configs(version)
			test.change(client)
			resumed(t, "example.com", client, server)
			if got := resumed(t, "example.com", client, server); got != test.want {
				t.Errorf("%s: resumed %v", name, got)
			}
		}
		if _, ok := own.Get("example.com"); !ok {
			t.Error("the caller's cache was not used")
		}
	})
}

func TestSessionStoreIsBounded(t *testing.T) {
	s := sessionStore{m: map[sessionKey]*list.Element{}}
	key := func(i int) sessionKey { return sessionKey{name: fmt.Sprint(i)} }
	for i := range maxSessions {
		s.put(key(i), &tls.ClientSessionState{})
	}
	s.get(key(0)) // used last now
	s.put(key(maxSessions), &tls.ClientSessionState{})
	for i, want := range map[int]bool{0: true, 1: false, 2: true, maxSessions: true} {
		if _, ok := s.get(key(i)); ok != want {
			t.Errorf("session %d is stored: %v", i, ok)
		}
	}
	s.put(key(0), nil)
	if _, ok := s.get(key(0)); ok || s.lru.Len() != maxSessions-1 || len(s.m) != maxSessions-1 {
		t.Errorf("%d and %d sessions", s.lru.Len(), len(s.m))
	}
}
