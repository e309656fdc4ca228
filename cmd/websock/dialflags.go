package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
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

// defaultTransport is the cheapest one.
const defaultTransport = "epoll"

func transportNames() string {
	return strings.Join(slices.Sorted(maps.Keys(transports)), ", ")
}

// dialFlags are the flags of all commands that connect.
type dialFlags struct {
	header       http.Header
	subprotocols []string
	insecure     bool
	ca           string
	compress     bool
	timeout      time.Duration
}

func (d *dialFlags) register(fs *flag.FlagSet) {
	d.header = http.Header{}
	fs.Func("header", "`\"Name: value\"` to send with the opening handshake (repeatable)", d.addHeader)
	fs.Func("subprotocol", "`name` of a subprotocol to offer (repeatable, in order of preference)", d.addSubprotocol)
	fs.BoolVar(&d.insecure, "insecure", false, "accept any certificate of the server")
	fs.BoolVar(&d.compress, "compress", false, "offer the server compression (permessage-deflate)")
	fs.StringVar(&d.ca, "ca", "", "`file` of PEM certificates to trust, instead of the system's")
}

func (d *dialFlags) addHeader(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return errors.New(`not of the form "Name: value"`)
	}
	d.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
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
	var roots *x509.CertPool // nil: the system's
	if d.ca != "" {
		var err error
		if roots, err = readCertificates(d.ca); err != nil {
			return cfg, err
		}
	}
	cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: d.insecure, RootCAs: roots}
	return cfg, nil
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

// check returns why the URL can't be dialed, or not with these flags. What the library refuses
// is found that way before anything is started.
func (d *dialFlags) check(rawURL string) error {
	if refused := dryDial(rawURL, websock.Config{}); refused != nil {
		return fmt.Errorf("%s: not a ws:// or wss:// URL: %w", rawURL, refused.Err)
	}
	if refused := dryDial(rawURL, websock.Config{Header: d.header, Subprotocols: d.subprotocols}); refused != nil {
		refused.Host = "" // it was not contacted
		return errors.New(console.ErrorText(refused))
	}
	return nil
}

// errDryDial ends every dryDial that succeeds.
var errDryDial = errors.New("not dialed")

// dryDial takes the steps of dialing that precede the network and returns their error. Without a
// Proxy in cfg it uses none.
func dryDial(rawURL string, cfg websock.Config) *websock.HandshakeError {
	if cfg.Proxy == nil {
		cfg.Proxy = websock.NoProxy
	}
	cfg.NetDial = func(context.Context, string, string) (net.Conn, error) { return nil, errDryDial }
	_, err := websock.Dial(context.Background(), rawURL, &cfg)
	var refused *websock.HandshakeError
	if errors.Is(err, errDryDial) || !errors.As(err, &refused) {
		return nil
	}
	return refused
}
