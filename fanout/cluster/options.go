package cluster

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock/fanout"
)

// Options says which keys a Cluster keeps connected, to what, and through which NATS its members agree.
// Keys and Fanout have to be set; everything else is optional. All members of a cluster need the same
// Name, Partitions, Lease, Margin, Rate, Overlap and Prefix.
type Options struct {
	// Name is that of the cluster: letters, digits, '-' and '_'. Default: "websock".
	Name string

	// Member is the name of this member, for people. It need not be unique. Default: the name of
	// the host and the number of the process.
	Member string

	// Weight is this member's share, beside that of others. Default: 1.
	Weight float64

	// URL is where NATS is, as nats.Connect accepts it, and Credentials the file with those of a
	// user, if the servers want them. "": a server with JetStream runs inside this process, or
	// another one on this machine: see Dir and Peers.
	URL         string
	Credentials string

	// NATS are further options of the connection to NATS.
	NATS []nats.Option

	// Conn, in place of URL, is a connection to NATS that the caller has. Shutdown leaves it open.
	Conn *nats.Conn

	// Dir is where the embedded server keeps its data. All members of a cluster on a machine that
	// have no Peers share it. Default: a directory for Name in that of os.UserCacheDir.
	Dir string

	// Listen is where the embedded server listens for clients. Default: "127.0.0.1:4250"; with
	// Peers, port 4222 of all interfaces.
	Listen string

	// Peers are the addresses, host and port, at which the embedded servers of this and the other
	// members reach each other. ClusterListen is the one of them on which this one listens. Three or
	// more form a cluster that goes on when one of them is lost.
	Peers         []string
	ClusterListen string

	// Keys are what is kept connected: see Static, Func and Bucket.
	Keys Keys

	// Partitions is into how many parts keys are divided by their hash. A member holds whole
	// partitions. A hundred for each member make the shares equal within some 20 %. Default: 256.
	Partitions int

	// Fanout says to what and how the members connect: see fanout.Options. Its Size and Key are the
	// Cluster's to set, and its Pace.Rate. Slot.Key is the key. If Keys has values for them (see
	// Bucket), Slot.Value is that of the key, a []byte.
	Fanout fanout.Options

	// Lease is how long the others wait without a sign of life of a member before they take over
	// its keys, and Margin how long before that the member itself ends its connections, if it can't
	// reach NATS. Defaults: 10 s, a quarter of Lease.
	Lease, Margin time.Duration

	// Rate is how many connections all members together begin to open in a second. Default:
	// fanout.DefaultRate.
	Rate float64

	// Overlap, unless it is 0, lets the new holder of a key connect before the old one closes its
	// connection, which it does after Overlap at the latest: when keys move in an orderly way, they
	// are never without a connection, but for that time have two.
	Overlap time.Duration

	// Away says what happens to connections when a member hasn't reached NATS for so long that
	// others may take over its keys.
	Away Away

	// FenceHeader, unless it is "", is the name of a header of the opening handshake in which the
	// fencing token is sent, in decimal: a number that grows whenever a key gets another holder. A
	// server that has seen a higher one for a key can refuse or end connections with a lower one.
	FenceHeader string

	// Prefix begins the subjects of messages. Default: Name.
	Prefix string

	// Publish says what becomes of messages that are received.
	Publish Publish

	// Receive has messages for keys taken from subjects of NATS: see Cluster.Send.
	Receive bool

	// Logger gets a record, at level Info, of members that come and go and of partitions that are
	// taken over, and at Warn of a session that is lost and of NATS that is away. nil: nothing is logged.
	Logger *slog.Logger
}

// Away is what a member does with its connections when it hasn't reached NATS in time.
type Away uint8

// What a member does while NATS is away.
const (
	// StopConnections ends the connections before others may open them: a key never has two, and
	// none while NATS is away for everybody.
	StopConnections Away = iota

	// KeepConnections keeps them until NATS says that another member has taken over. While NATS is
	// away for everybody, everything stays connected. If only this member can't reach NATS, its keys
	// have two connections, for as long as that lasts.
	KeepConnections
)

// Keys is the set of keys that a cluster keeps connected.
type Keys interface {
	// watch calls set with all keys and their values, which may be nil, whenever they change,
	// until ctx ends.
	watch(ctx context.Context, c *Cluster, set func(map[string][]byte)) error
}
