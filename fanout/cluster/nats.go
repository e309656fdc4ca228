package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/embedded"
)

// natsAccess is the way to NATS.
type natsAccess struct {
	conn     *nats.Conn
	replicas int // of what is stored there
	dial     func(...nats.Option) (*nats.Conn, error)
	own      []*nats.Conn     // connections to close
	server   *embedded.Server // nil: the servers are elsewhere
}

// openNATS connects to the servers that the options name, or starts one in this process.
func openNATS(ctx context.Context, o *Options) (*natsAccess, error) {
	n := &natsAccess{replicas: max(o.Replicas, 1)}
	if o.Conn != nil {
		n.conn = o.Conn
		return n, nil
	}
	n.dial = o.dialURL
	if o.URL == "" {
		server, err := embedded.Start(ctx, o.embedded())
		if err != nil {
			return nil, fmt.Errorf("cluster: can't start NATS: %w", err)
		}
		n.server, n.dial = server, server.Connect
		n.replicas = server.Replicas()
	}
	var err error
	if n.conn, err = n.connect(ctx, o, "member"); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// openForReading connects to servers that run already.
func openForReading(ctx context.Context, o *Options) (*natsAccess, error) {
	n := &natsAccess{conn: o.Conn}
	if o.Conn != nil {
		return n, nil
	}
	n.dial = o.dialURL
	if o.URL == "" {
		n.dial = func(more ...nats.Option) (*nats.Conn, error) { return connectToEmbedded(o.Dir, more...) }
	}
	var err error
	if n.conn, err = n.connect(ctx, o, "status"); errors.Is(err, embedded.ErrNoServer) {
		err = fmt.Errorf("%w: %w", ErrNoCluster, err)
	}
	return n, err
}

// dialURL connects to the servers of URL.
func (o *Options) dialURL(more ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(o.URL, more...)
}

// connectToEmbedded connects to the server that runs in a directory, or else to one of Peers, each of
// which has by default a directory of its own in that: see defaultDir.
func connectToEmbedded(dir string, options ...nats.Option) (*nats.Conn, error) {
	conn, err := embedded.Connect(dir, options...)
	if !errors.Is(err, embedded.ErrNoServer) {
		return conn, err
	}
	below, _ := os.ReadDir(dir) // if that fails, there is no server either
	for _, peer := range below {
		if peer.IsDir() {
			if conn, err := embedded.Connect(filepath.Join(dir, peer.Name()), options...); err == nil {
				return conn, nil
			}
		}
	}
	return nil, err
}

// connect returns another connection, that is closed with this access. It tries again, until ctx ends or
// letInTime has passed, if another attempt may succeed.
func (n *natsAccess) connect(ctx context.Context, o *Options, purpose string) (*nats.Conn, error) {
	if n.dial == nil {
		return n.conn, nil // the caller's, for everything
	}
	ctx, cancel := context.WithTimeout(ctx, letInTime)
	defer cancel()
	for {
		conn, err := n.dial(o.natsOptions(purpose)...)
		if err == nil {
			n.own = append(n.own, conn)
			return conn, nil
		}
		err = fmt.Errorf("cluster: can't connect to NATS at %s: %w", o.where(), err)
		if !n.mayLetIn(err) {
			return nil, err
		}
		select {
		case <-time.After(reconnectWait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
	}
}

// mayLetIn reports whether a server may let this process in although an attempt has failed: one that was too
// slow, and one of this machine, in whose place another process starts its own.
func (n *natsAccess) mayLetIn(err error) bool {
	var slow net.Error
	return n.server != nil || errors.As(err, &slow) && slow.Timeout() || strings.Contains(err.Error(), "authentication timeout")
}

// close ends what was begun for the access.
func (n *natsAccess) close() {
	for _, conn := range n.own {
		conn.Close()
	}
	if n.server != nil {
		n.server.Close() // an error says that it did not end in time: nothing can be done
	}
}

// where says for people where NATS is, without the secrets of a URL.
func (o *Options) where() string {
	if o.URL == "" {
		return o.Dir
	}
	servers := strings.Split(o.URL, ",")
	for i, server := range servers {
		if at := strings.LastIndexByte(server, '@'); at >= 0 {
			servers[i] = server[at+1:]
		}
	}
	return strings.Join(servers, ",")
}

// embedded returns how the server inside the process runs.
func (o *Options) embedded() embedded.Config {
	return embedded.Config{
		Name:          o.Name,
		Dir:           o.Dir,
		Listen:        o.Listen,
		Peers:         o.Peers,
		ClusterListen: o.ClusterListen,
		Secret:        o.Secret,
		MaxDisk:       o.MaxDisk,
		SyncAlways:    o.SyncAlways,
		Logger:        o.Logger,
	}
}

// defaultDir returns where the embedded server keeps its data. With Peers each process needs a
// directory of its own, which it finds again when it is started again.
func (o *Options) defaultDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", &OptionError{"Dir", "is missing, and there is no directory for caches: " + err.Error()}
	}
	dir := filepath.Join(cache, "websock-cluster", o.Name)
	if len(o.Peers) > 0 {
		dir = filepath.Join(dir, strings.ReplaceAll(filepath.Base(o.ClusterListen), ":", "_")) // Windows has no ':' in names
	}
	return dir, nil
}

const (
	letInTime     = 30 * time.Second // for the first connection; one attempt takes 2 s, if Options.NATS doesn't say more
	reconnectWait = 200 * time.Millisecond
	writeTimeout  = 10 * time.Second // then the server is taken for lost; until then even closing waits
	pingInterval  = 2 * time.Second  // of the connections to NATS; the second without an answer ends them
)

// natsOptions returns the options of a connection to NATS, which lasts until it is closed.
func (o *Options) natsOptions(purpose string) []nats.Option {
	options := []nats.Option{
		nats.Name(fmt.Sprintf("%s %s %s", o.Name, o.Member, purpose)),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // what is written late may be wrong by then
		nats.FlusherTimeout(writeTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else it was closed
				o.log(slog.LevelWarn, "the connection to NATS is lost", slog.String("for", purpose), slog.Any("error", err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			o.log(slog.LevelInfo, "connected to NATS again", slog.String("for", purpose), slog.String("at", o.where()))
		}),
	}
	if o.URL != "" {
		options = append(options,
			nats.ReconnectWait(reconnectWait),
			nats.ReconnectJitter(reconnectWait, reconnectWait),
			nats.PingInterval(pingInterval),
			nats.MaxPingsOutstanding(2),
			nats.IgnoreAuthErrorAbort(), // an outage of what checks them ends, too
		)
	}
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	return append(options, o.NATS...)
}

// log logs something about the cluster.
func (o *Options) log(level slog.Level, msg string, attrs ...slog.Attr) {
	if o.Logger != nil {
		o.Logger.LogAttrs(context.Background(), level, msg, append([]slog.Attr{slog.String("cluster", o.Name)}, attrs...)...)
	}
}
