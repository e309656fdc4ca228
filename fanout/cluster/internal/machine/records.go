// Package machine decides what one member of a cluster does. It has no goroutine, no clock and no
// I/O: changes of records, outcomes of writes and the time go in, and what is to be written, opened
// and closed comes out.
package machine

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// The keys of records.
const (
	configName   = "config"
	memberPrefix = "member."
	partPrefix   = "part."
)

type keyKind uint8

const (
	otherKey keyKind = iota
	configKey
	memberKey
	partKey
)

// parseKey returns what a key is of: a member's ID, a partition's number.
func parseKey(key string) (kind keyKind, id string, partition int) {
	if key == configName {
		return configKey, "", 0
	}
	if id, ok := strings.CutPrefix(key, memberPrefix); ok && validID(id) {
		return memberKey, id, 0
	}
	if digits, ok := strings.CutPrefix(key, partPrefix); ok {
		if n, err := strconv.Atoi(digits); err == nil && strconv.Itoa(n) == digits {
			return partKey, "", n
		}
	}
	return otherKey, "", 0
}

// validID reports whether an ID can be part of a key.
func validID(id string) bool {
	_, ok := assign.Unescape(id)
	return ok
}

func partKeyOf(partition int) string { return partPrefix + strconv.Itoa(partition) }

// A Config is the record of the whole cluster, under the key "config". The first member writes it.
type Config struct {
	Version    int           `json:"version"`
	Partitions int           `json:"partitions"`
	Lease      time.Duration `json:"lease"` // in nanoseconds
}

// A Member is the record of a member, under the key "member." and its ID. The revision with which it
// was created is the member's session.
//
// A tombstone is one with Dead set, which another member has created: it has found a partition held by
// a session that it knows nothing of. Because there can't be two records under a key, it proves that
// the session has ended.
type Member struct {
	Dead    bool          `json:"dead,omitempty"`
	Session uint64        `json:"session,omitempty"` // 0 in the first record, whose revision is the session
	Weight  float64       `json:"weight"`
	Lease   time.Duration `json:"lease"`             // in nanoseconds: for how long it may be silent
	Leaving bool          `json:"leaving,omitempty"` // it gives up its partitions, and takes none
	N       uint64        `json:"n"`                 // of this renewal
	Knows   []uint64      `json:"knows,omitempty"`   // sessions that it takes into account, ascending
	Wants   []int         `json:"wants,omitempty"`   // partitions that it is ready to take over now
	Report  Report        `json:"report"`
}

// A Partition is the record of who holds a partition, under the key "part." and its number. It is
// free if the session is not that of a member that there is.
type Partition struct {
	Member  string `json:"member"` // ID
	Session uint64 `json:"session"`
	Ready   bool   `json:"ready,omitempty"` // its keys are connected, or have been tried
	Token   uint64 `json:"token,omitempty"` // the revision with which it came to the member; 0: that of this record
}

// A Report is what a member tells of itself.
type Report struct {
	Keys    int     `json:"keys"`   // that it keeps connected
	Up      int     `json:"up"`     // of these
	Opened  uint64  `json:"opened"` // connections since it has started
	Rate    float64 `json:"rate"`   // at which it may dial, in a second
	Moves   uint64  `json:"moves"`  // partitions that it took over from another member
	Losses  uint64  `json:"losses"` // sessions that it has lost
	Version string  `json:"version,omitempty"`
}
