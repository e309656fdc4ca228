package machine

import (
	"fmt"
	"strings"
	"time"
)

// An Action is something that the machine wants to be done. Actions are done in their order.
type Action interface{ action() }

// The actions of a machine.
type (
	// Write creates a record if Last is 0, deletes it if Value is nil, and otherwise replaces it, if
	// its revision is Last. Its outcome has to be told to Machine.Written, in bounded time. There is
	// never more than one write of a key under way.
	Write struct {
		Key   string
		Value []byte
		Last  uint64
	}

	// Watch begins a new watch in place of the one that there is, which delivers nothing any more. (The
	// first watch, and one in place of one that has ended, the driver begins by itself.)
	Watch struct{}

	// Open begins to connect the keys of a partition. Nothing of it is left from before.
	Open struct {
		Partition int
		Token     uint64
	}

	// Drain sends what waits on the connections of a partition and closes them. Machine.Ended has to
	// be called when they have ended.
	Drain struct{ Partition int }

	// Cut aborts all connections. Machine.CutDone has to be called when they have ended; until then
	// no Ended need be.
	Cut struct{}

	// SetRate says how many connections may be dialled in a second from now on. It is positive.
	SetRate struct{ Rate float64 }

	// Exit says that this was the machine's last action. Err is nil after Leave, and else why the
	// member can't be one: an *IncompatibleError.
	Exit struct{ Err error }

	// Event tells what has happened, for people.
	Event struct {
		Kind      EventKind
		Member    string        // ID: who joined or ended, or has the partition now
		Partition int           // of Claimed, Received and HandedOver
		Token     uint64        // of the partition
		Took      time.Duration // Ended: since the last sign of life. Claimed: since the partition was seen to be free
		Cause     string        // of SessionLost
	}
)

func (Write) action()   {}
func (Watch) action()   {}
func (Open) action()    {}
func (Drain) action()   {}
func (Cut) action()     {}
func (SetRate) action() {}
func (Exit) action()    {}
func (Event) action()   {}

// An EventKind says what has happened.
type EventKind uint8

// The kinds of events.
const (
	Joined      EventKind = iota // this member is one now
	MemberJoin                   // another member is there, perhaps from before this one
	MemberEnd                    // another member has left, or was declared dead
	DeclareDead                  // this member begins to delete another one's record
	Claimed                      // this member has taken a partition that was free
	Received                     // this member was given a partition
	HandedOver                   // this member has given a partition away
	NATSAway                     // the deadline has passed, and connections are kept
	NATSBack                     // a renewal was accepted after NATSAway
	SessionLost                  // all connections are aborted
	WatchDeaf                    // the watch has missed something, and is begun anew
)

var eventNames = [...]string{
	"joined", "member seen", "member ended", "member declared dead", "partition claimed", "partition received",
	"partition handed over", "NATS away", "NATS back", "session lost", "watch deaf",
}

// String returns what has happened, in a few words.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// An IncompatibleError says that the cluster has other settings than this member.
type IncompatibleError struct {
	Config Config // of the cluster; the zero Config if it can't be read
	Ours   Config
}

// Error names the settings that differ.
func (e *IncompatibleError) Error() string {
	if e.Config == (Config{}) {
		return "the record of its settings can't be read"
	}
	var differ []string
	if e.Config.Version != e.Ours.Version {
		differ = append(differ, fmt.Sprintf("version %d of records, not %d", e.Config.Version, e.Ours.Version))
	}
	if e.Config.Partitions != e.Ours.Partitions {
		differ = append(differ, fmt.Sprintf("%d partitions, not %d", e.Config.Partitions, e.Ours.Partitions))
	}
	if e.Config.Lease != e.Ours.Lease {
		differ = append(differ, fmt.Sprintf("a lease of %v, not %v", e.Config.Lease, e.Ours.Lease))
	}
	return strings.Join(differ, "; ")
}
