package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/endpoint"
)

// dialFlags say how to connect.
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
		cfg.Compression = engine.DefaultCompression
	}
	var roots *x509.CertPool // the system's
	if d.ca != "" {
		var err error
		if roots, err = trusting(d.ca); err != nil {
			return cfg, err
		}
	}
	cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: d.insecure, RootCAs: roots}
	return cfg, nil
}

// trusting returns the certificates in a PEM file.
func trusting(file string) (*x509.CertPool, error) {
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

// errNotDialled is how checkDial ends when all is well.
var errNotDialled = errors.New("not dialled")

// checkDial returns why the URL can't be dialled with these flags. It takes every step of
// dialling up to the network, so that what the library refuses is known before anything is
// started.
func (d *dialFlags) checkDial(rawURL string) error {
	if _, err := endpoint.Parse(rawURL); err != nil {
		return fmt.Errorf("%s: not a ws:// or wss:// URL: %w", rawURL, err)
	}
	_, err := websock.Dial(context.Background(), rawURL, &websock.Config{
		Header:       d.header,
		Subprotocols: d.subprotocols,
		Proxy:        websock.NoProxy,
		NetDial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errNotDialled
		},
	})
	var refused *websock.HandshakeError
	switch {
	case errors.Is(err, errNotDialled):
		return nil
	case errors.As(err, &refused):
		refused.Host = "" // it was not asked
	}
	return errors.New(errorText(err))
}
