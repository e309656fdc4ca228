package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// transports has the values of -transport.
var transports = map[string]websock.Transport{
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
	"std":     std.Transport(),
}

// maxStreams bounds the WebSockets on an HTTP/2 connection.
const maxStreams = 1 << 20

// defaultTransport is the cheapest one.
const defaultTransport = "epoll"

func transportNames() string {
	return strings.Join(slices.Sorted(maps.Keys(transports)), ", ")
}

const originHeader = "Origin"

// dialFlags are the flags of all commands that connect.
type dialFlags struct {
	header       http.Header
	subprotocols []string
	resolve      resolver
	insecure     bool
	ca           string
	cert, key    string
	compress     bool
	h2           bool
	timeout      time.Duration
}

func (d *dialFlags) register(fs *flag.FlagSet) {
	d.header, d.resolve = http.Header{}, resolver{}
	fs.Func("header", "`\"Name: value\"` to send with the opening handshake (repeatable)", d.addHeader)
	fs.Func("origin", "`URL` of the page that connects, such as https://example.com: sent as the header Origin", d.setOrigin)
	fs.Func("subprotocol", "`name` of a subprotocol to offer (repeatable, in order of preference)", d.addSubprotocol)
	fs.BoolVar(&d.insecure, "insecure", false, "accept any certificate of the server")
	fs.BoolVar(&d.compress, "compress", false, "offer the server compression (permessage-deflate)")
	fs.BoolVar(&d.h2, "h2", false, "open WebSockets over HTTP/2 (RFC 8441): with wss if the server offers it, with ws by prior knowledge")
	fs.StringVar(&d.ca, "ca", "", "`file` of PEM certificates to trust, instead of the system's")
	fs.StringVar(&d.cert, "cert", "", "`file` of our own PEM certificate, for servers that ask for one, and of those that lead to its root")
	fs.StringVar(&d.key, "key", "", "`file` of the PEM private key of -cert (default: that of -cert has both)")
	fs.Func("resolve", "`HOST:ADDR`, or HOST:PORT:ADDR: connect to this IP address for that host, as if a name server had said so (repeatable)", d.resolve.add)
}

func (d *dialFlags) addHeader(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return errors.New(`not of the form "Name: value"`)
	}
	d.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	return nil
}

// setOrigin sets the header of -origin (RFC 6454 section 6.1).
func (d *dialFlags) setOrigin(page string) error {
	origin := page
	if page != "null" { // the origin of a file, for instance
		u, err := url.Parse(page)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return errors.New("not a URL with a scheme and a host")
		}
		origin = u.Scheme + "://" + strings.ToLower(u.Host)
	}
	d.header.Set(originHeader, origin)
	return nil
}

func (d *dialFlags) addSubprotocol(name string) error {
	d.subprotocols = append(d.subprotocols, name)
	return nil
}

func (d *dialFlags) config() (websock.Config, error) {
	cfg := websock.Config{Header: d.header, Subprotocols: d.subprotocols, Timeout: d.timeout}
	if d.compress {
		cfg.Compression = websock.DefaultCompression
	}
	cfg.Mux = d.mux()
	var roots *x509.CertPool // nil: the system's
	if d.ca != "" {
		var err error
		if roots, err = readCertificates(d.ca); err != nil {
			return cfg, err
		}
	}
	cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: d.insecure, RootCAs: roots}
	if d.cert != "" {
		own, err := tls.LoadX509KeyPair(d.cert, cmp.Or(d.key, d.cert))
		if err != nil {
			return cfg, fmt.Errorf("the certificate of -cert can't be used: %w", err)
		}
		cfg.TLS.Certificates = []tls.Certificate{own}
	}
	cfg.NetDial = d.resolve.netDial(nil)
	return cfg, nil
}

// mux returns a new Mux for -h2, and nil without it.
func (d *dialFlags) mux() *websock.Mux {
	if !d.h2 {
		return nil
	}
	return &websock.Mux{Cleartext: true}
}

// readCertificates reads a PEM file.
func readCertificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return roots, nil
}

// check returns why the URL can't be dialed, or not with these flags.
func (d *dialFlags) check(rawURL string) error {
	switch {
	case d.key != "" && d.cert == "":
		return errors.New("-key needs -cert")
	case len(d.header[originHeader]) > 1:
		return errors.New("-header and -origin give more than one Origin")
	}
	cfg := websock.Config{Proxy: websock.NoProxy} // that of the environment is looked up when dialing
	var refused *websock.HandshakeError
	if errors.As(cfg.Check(rawURL), &refused) {
		if !strings.Contains(rawURL, "://") {
			return fmt.Errorf("%s: not a ws:// or wss:// URL: it begins with neither", rawURL)
		}
		return fmt.Errorf("%s: not a ws:// or wss:// URL: %w", rawURL, refused.Err)
	}
	cfg.Header, cfg.Subprotocols, cfg.Mux = d.header, d.subprotocols, d.mux()
	if errors.As(cfg.Check(rawURL), &refused) {
		refused.Host = "" // it was not contacted
		return errors.New(console.ErrorText(refused))
	}
	return nil
}
