package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config says how a server runs, and where. Dir is required.
type Config struct {
	// Name is that of the cluster of Peers, which have the same one. Default: "websock".
	Name string

	// Dir is the directory of the server. It is made, readable for its owner only, if it doesn't
	// exist. Processes that have no Peers share it.
	Dir string

	// Listen is the host and port at which the server listens for clients. Port 0 lets the system
	// choose one: it is in Dir. "": there is no port, and no other process shares Dir; with Peers, a free
	// port of 127.0.0.1.
	Listen string

	// Peers are the hosts and ports at which servers reach each other. ClusterListen is the one at which
	// this server listens for the others; its host may be empty, for all interfaces.
	Peers         []string
	ClusterListen string

	// Secret is known to all Peers, and lets programs in that have no access to Dir. Peers need one,
	// unless they are all on loopback addresses.
	Secret string

	// MaxMemory and MaxDisk are how many bytes JetStream may keep in memory and on disk. Streams that
	// would be larger refuse messages. Defaults: 256 MiB, 4 GiB.
	MaxMemory, MaxDisk int64

	// SyncAlways has JetStream acknowledge writes when they are on the disk. Otherwise they are there
	// within a second.
	SyncAlways bool

	// Logger gets what the server logs: warnings, errors, and, at level Debug, how it starts and ends.
	// nil: nothing is logged.
	Logger *slog.Logger
}

const (
	defaultName      = "websock"
	defaultMaxMemory = 256 << 20
	defaultMaxDisk   = 4 << 30

	// syncInterval is how long acknowledged writes may not be on the disk yet.
	syncInterval = time.Second

	// pingClients and pingPeers are how often the server looks whether a connection is alive. It takes
	// two pings without an answer for lost.
	pingClients = 5 * time.Second
	pingPeers   = 2 * time.Second

	// peerUser is the name with which peers show their secret.
	peerUser = "peer"
)

// ErrNoSecret: Peers that reach each other over a network need a Config.Secret.
var ErrNoSecret = errors.New("embedded: peers that aren't on a loopback address need a secret")

// A mode is one of the ways to run a server.
type mode string

const (
	alone  mode = "alone"
	shared mode = "shared"
	peers  mode = "peers"
)

func (c *Config) mode() mode {
	switch {
	case len(c.Peers) > 0:
		return peers
	case c.Listen != "":
		return shared
	}
	return alone
}

// check fills in defaults and reports what is missing.
func (c *Config) check() error {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.MaxMemory <= 0 {
		c.MaxMemory = defaultMaxMemory
	}
	if c.MaxDisk <= 0 {
		c.MaxDisk = defaultMaxDisk
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Dir == "" {
		return errors.New("embedded: no directory")
	}
	if c.mode() == peers && c.Listen == "" {
		c.Listen = "127.0.0.1:0" // nats-server reaches its peers only when it listens for clients
	}
	if isPeer := c.mode() == peers; isPeer != (c.ClusterListen != "") {
		return errors.New("embedded: peers need an address at which to listen for each other, and only they do")
	}
	amongPeers := c.Peers
	if c.ClusterListen != "" {
		amongPeers = append(slices.Clone(c.Peers), c.ClusterListen)
	}
	for _, address := range amongPeers {
		if _, port, err := splitAddress(address); err != nil {
			return err
		} else if port == 0 {
			return fmt.Errorf("embedded: peers can't find each other at address %q", address)
		}
	}
	if c.Secret == "" && !allLoopback(amongPeers) {
		return ErrNoSecret
	}
	if c.Listen != "" {
		if _, _, err := splitAddress(c.Listen); err != nil {
			return err
		}
	}
	return nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("embedded: %w", err)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("embedded: address %q has no port number", address)
	}
	return host, port, nil
}

func allLoopback(addresses []string) bool {
	for _, address := range addresses {
		host, _, _ := splitAddress(address)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// options are those of nats-server.
func (c *Config) options(name, token string) *server.Options {
	o := &server.Options{
		ServerName:                 name,
		NoSigs:                     true,
		JetStream:                  true,
		StoreDir:                   c.Dir,
		JetStreamMaxMemory:         c.MaxMemory,
		JetStreamMaxStore:          c.MaxDisk,
		SyncInterval:               syncInterval,
		SyncAlways:                 c.SyncAlways,
		CustomClientAuthentication: &doorkeeper{token: token, secret: c.Secret},
		PingInterval:               pingClients,
	}
	if c.Listen == "" {
		o.DontListen = true
	} else {
		o.Host, o.Port, _ = splitAddress(c.Listen)
		if o.Port == 0 {
			o.Port = server.RANDOM_PORT
		}
	}
	if c.mode() == peers {
		o.Cluster.Name = c.Name
		o.Cluster.Host, o.Cluster.Port, _ = splitAddress(c.ClusterListen)
		o.Cluster.PingInterval = pingPeers
		var user *url.Userinfo
		if c.Secret != "" {
			o.Cluster.Username, o.Cluster.Password = peerUser, c.Secret
			user = url.UserPassword(peerUser, c.Secret)
		}
		for _, address := range c.Peers {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", User: user, Host: address})
		}
	}
	return o
}
