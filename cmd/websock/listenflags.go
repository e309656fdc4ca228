package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/listen"
)

// maxListenConns bounds -max: each connection has open files, and waiting for its command takes a thread, of
// which Go allows 10,000.
const maxListenConns = 8 << 10

// listenFlags are the flags of a server that has a goroutine for each connection. Their texts begin with
// when they count.
type listenFlags struct{ options listen.Options }

func (l *listenFlags) register(fs *flag.FlagSet, when string, maxMessage int) {
	o := &l.options
	fs.IntVar(&o.Max, "max", 100, when+"connections at a time; more are declined with HTTP status 503")
	fs.IntVar(&o.MaxMessage, "max-message", maxMessage, when+"bytes of the largest message that a client may send")
	fs.StringVar(&o.Path, "path", "", when+"`path` of the URL; others are not found (default: any)")
	fs.Func("allow-origin", when+"`origin` of pages that may connect, such as https://app.example.com, or * for all (repeatable; default: those of the same host, if that is localhost or an IP address)", l.addOrigin)
	fs.BoolVar(&o.TLS, "tls", false, when+"speak TLS (wss), with a self-signed certificate unless -tls-cert names one")
	fs.StringVar(&o.CertFile, "tls-cert", "", when+"PEM `file` with the certificate, for wss")
	fs.StringVar(&o.KeyFile, "tls-key", "", when+"PEM `file` with its key")
}

func (l *listenFlags) addOrigin(origin string) error {
	l.options.Origins = append(l.options.Origins, origin)
	return listen.CheckOrigin(origin)
}

// check returns what is wrong with the flags and the address, and sets the address.
func (l *listenFlags) check(addr string) error {
	o := &l.options
	var err error
	o.Addr, err = listenAddr(addr)
	switch {
	case err != nil:
		return err
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("-tls-cert and -tls-key go together")
	case o.Path != "" && !strings.HasPrefix(o.Path, "/"):
		return errors.New("-path begins with /")
	case o.Max < 1 || o.Max > maxListenConns:
		return fmt.Errorf("-max is 1 to %d", maxListenConns)
	case o.MaxMessage < 1 || o.MaxMessage > websock.DefaultMessageSize:
		return fmt.Errorf("-max-message is 1 to %d", websock.DefaultMessageSize)
	}
	return nil
}

// checkSubprotocols returns what is wrong with the subprotocols that a server agrees to.
func checkSubprotocols(names []string) error {
	cfg := websock.Config{Proxy: websock.NoProxy, Subprotocols: names}
	var refused *websock.HandshakeError
	if errors.As(cfg.Check("ws://127.0.0.1/"), &refused) {
		refused.Host = ""
		return errors.New(console.ErrorText(refused))
	}
	return nil
}

// defaultTimeout is how long a server waits for a client that takes no bytes.
const defaultTimeout = 30 * time.Second
