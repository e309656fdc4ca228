package cluster

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/net/http/httpguts"

	"github.com/seed004e8d11/websock/fanout"
)

// Options says which keys a Cluster keeps connected, to what, and through which NATS its members agree.
// Keys and Fanout have to be set; everything else is optional. All members of a cluster need the same
// Name, Partitions, Lease, Margin, Rate, Overlap and Prefix. Partitions and Lease can be changed when all
// members have ended.
type Options struct {
	// Name is that of the cluster: letters, digits, '-' and '_'. Default: "websock".
	Name string

	// Member is the name of this member, for people: letters, digits, '-' and '_'. It need not be
	// unique. Default: the name of the host and the number of the process.
	Member string

	// Weight is this member's share, beside that of others, in steps of 1/65536 and at most 65536.
	// Default: 1.
	Weight float64

	// URL is where NATS is, as nats.Connect accepts it, and Credentials the file with those of a
	// user, if the servers want them. "": a server with JetStream runs inside this process, or
	// another one on this machine: see Dir and Peers.
	URL         string
	Credentials string

	// NATS are further options of the connection to NATS.
	NATS []nats.Option

	// Conn, in place of URL, is a connection to NATS that the caller has. Shutdown leaves it open. Messages
	// use it too, so that a flood of them may delay the renewal of the lease; with URL they have
	// connections of their own.
	Conn *nats.Conn

	// Dir is where the embedded server keeps its data. All members of a cluster on a machine that
	// have no Peers share it. Default: a directory for Name in that of os.UserCacheDir.
	Dir string

	// Listen is the host and port at which the embedded server listens for the other processes of the
	// machine, which find it in Dir. Default: a free port of 127.0.0.1.
	Listen string

	// MaxDisk is how many bytes the embedded server may keep in Dir. 0: 4 GiB. With SyncAlways it
	// acknowledges what is written when it is on the disk; otherwise it is there within a second, and
	// the last second is lost when the machine loses its power.
	MaxDisk    int64
	SyncAlways bool

	// Peers are the addresses, host and port, at which the embedded servers of this and the other
	// members reach each other. ClusterListen is that on which this one listens; its host may be
	// empty, for all interfaces. Three or more go on when one of them is lost. Secret is known to all of
	// them, and lets nobody else in; they need one unless they are all on one machine.
	Peers         []string
	ClusterListen string
	Secret        string

	// Replicas is how many servers of URL or Conn keep a copy of the cluster's records. Default: 1.
	// Embedded servers keep as many as there are Peers, at most three.
	Replicas int

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
	// reach NATS. Defaults: DefaultLease, a quarter of Lease.
	//
	// A member can be without NATS for about half of Lease before it ends its connections. When the leader
	// of several NATS servers is killed, the others need up to 9 s to notice.
	Lease, Margin time.Duration

	// Rate is how many connections all members together begin to open in a second. Default:
	// fanout.DefaultRate.
	Rate float64

	// Overlap, unless it is 0, lets the new holder of a key connect before the old one closes its
	// connection, which it does after Overlap at the latest: when keys move in an orderly way, they
	// are never without a connection, but for that time have two. What both receive is published by
	// both, each with its own token. Messages of Receive go to the old holder until the new one has
	// tried all keys that move together, or Overlap has passed.
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

// The defaults of Options.
const (
	DefaultName       = "websock"
	DefaultPartitions = 256
	DefaultLease      = 20 * time.Second
)

const (
	maxPartitions = 1 << 16
	minLease      = 500 * time.Millisecond
)

// complete checks the options and sets the defaults.
func (o *Options) complete() error {
	o.Name = cmp.Or(o.Name, DefaultName)
	o.Prefix = cmp.Or(o.Prefix, o.Name)
	o.Partitions = cmp.Or(o.Partitions, DefaultPartitions)
	o.Lease = cmp.Or(o.Lease, DefaultLease)
	o.Margin = cmp.Or(o.Margin, o.Lease/4)
	o.Weight = cmp.Or(o.Weight, 1)
	o.Rate = cmp.Or(o.Rate, fanout.DefaultRate)
	if o.Member == "" {
		host, _ := os.Hostname() // a name for people: any will do
		host, _, _ = strings.Cut(host, ".")
		if !isName(host) {
			host = "member"
		}
		o.Member = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	if len(o.Peers) == 0 && o.URL == "" && o.Conn == nil {
		o.Listen = cmp.Or(o.Listen, "127.0.0.1:0")
	}
	if err := o.check(); err != nil || o.Dir != "" {
		return err
	}
	var err error
	o.Dir, err = o.defaultDir()
	return err
}

// An OptionError says which of Options can't be used, and why.
type OptionError struct {
	Option string // its name, such as "Margin"
	Reason string
}

func (e *OptionError) Error() string { return "cluster: Options." + e.Option + " " + e.Reason }

func (o *Options) check() error {
	positive := func(f float64) bool { return f > 0 && !math.IsInf(f, 1) }
	for _, wrong := range []struct {
		is             bool
		option, reason string
	}{
		{!isName(o.Name), "Name", "may have letters, digits, '-' and '_' only"},
		{!isPrefix(o.Prefix), "Prefix", "is not the beginning of a subject"},
		{!isName(o.Member), "Member", "may have letters, digits, '-' and '_' only"},
		{o.Partitions < 1 || o.Partitions > maxPartitions, "Partitions", fmt.Sprintf("is not in 1 to %d", maxPartitions)},
		{o.Lease < minLease, "Lease", fmt.Sprintf("is below %v", minLease)},
		{o.Margin < 0 || o.Margin > o.Lease/2, "Margin", "is more than half of Lease, or below 0"},
		{!positive(o.Weight), "Weight", "is not above 0"},
		{!positive(o.Rate), "Rate", "is not above 0"},
		{o.Overlap < 0, "Overlap", "is below 0"},
		{o.Away > KeepConnections, "Away", "is neither StopConnections nor KeepConnections"},
		{o.Fanout.Size != 0, "Fanout.Size", "is the cluster's to set"},
		{o.Fanout.Key != nil, "Fanout.Key", "is the cluster's to set"},
		{o.Fanout.Pace.Rate != 0, "Fanout.Pace.Rate", "is the cluster's to set: see Options.Rate"},
		{o.Publish.To > ToJetStream, "Publish.To", "is none of the values of PublishTo"},
		{o.Publish.Buffer < 0, "Publish.Buffer", "is below 0"},
		{o.Publish.InFlight < 0, "Publish.InFlight", "is below 0"},
		{o.Publish.AckWait < 0, "Publish.AckWait", "is below 0"},
		{o.Publish.FlushTimeout < 0, "Publish.FlushTimeout", "is below 0"},
		{o.Publish.To != ToNowhere && o.Fanout.OnData != nil, "Fanout.OnData", "and Publish exclude each other: whole messages are published"},
		{o.Conn != nil && o.URL != "", "Conn", "and URL exclude each other"},
		{len(o.Peers) > 0 && (o.URL != "" || o.Conn != nil), "Peers", "and URL or Conn exclude each other"},
		{o.FenceHeader != "" && !httpguts.ValidHeaderFieldName(o.FenceHeader), "FenceHeader", "is not the name of a header"},
	} {
		if wrong.is {
			return &OptionError{wrong.option, wrong.reason}
		}
	}
	return nil
}

func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// isPrefix reports whether s can stand before ".rx." in a subject.
func isPrefix(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n\f\x00") {
			return false
		}
	}
	return true
}
