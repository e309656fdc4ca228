package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// A Status is what a cluster's records say at one moment. What members tell of themselves may be as old
// as a fifth of the Lease; what one told that has just died stays for as long as the Lease.
type Status struct {
	Name       string         `json:"name"`
	Partitions int            `json:"partitions"`
	Lease      time.Duration  `json:"lease"` // in nanoseconds
	Free       int            `json:"free"`  // partitions that nobody holds
	Moving     int            `json:"moving"`
	Members    []MemberStatus `json:"members"` // in the order in which they joined
}

// A MemberStatus is a member of a Status.
type MemberStatus struct {
	ID         string  `json:"id"`
	Session    uint64  `json:"session"`
	Weight     float64 `json:"weight"`
	Leaving    bool    `json:"leaving"`    // it gives up its partitions
	Partitions int     `json:"partitions"` // that it holds
	Wants      []int   `json:"wants"`      // partitions that it is about to take over
	Keys       int     `json:"keys"`       // that it holds
	Up         int     `json:"up"`         // of these: connected
	Opened     uint64  `json:"opened"`     // connections since it has started
	Moves      uint64  `json:"moves"`      // partitions that came from another member
	Losses     uint64  `json:"losses"`     // sessions that it has lost
	Rate       float64 `json:"rate"`       // connections that it may begin to open in a second
}

// ErrNoCluster is what ReadStatus returns if there has been no member yet.
var ErrNoCluster = errors.New("cluster: there is no cluster of this name")

// Status reads the state of the whole cluster.
func (c *Cluster) Status(ctx context.Context) (Status, error) {
	return readStatus(ctx, c.options.Name, c.bucket)
}

// ReadStatus reads the state of a cluster of which the caller need not be a member. Of the options only
// Name and those count that say where NATS is: Conn, URL, Credentials, NATS, or the Dir of an embedded server,
// which has to run. The error is ErrNoCluster if there is no cluster of that name, or no server.
func ReadStatus(ctx context.Context, o Options) (Status, error) {
	if err := o.complete(); err != nil {
		return Status{}, err
	}
	n, err := openForReading(ctx, &o)
	if err != nil {
		return Status{}, err
	}
	defer n.close()
	js, err := jetstream.New(n.conn)
	if err != nil {
		return Status{}, fmt.Errorf("cluster: %w", err)
	}
	if _, err := js.KeyValue(ctx, bucketOf(o.Name)); err != nil { // store.Open would make one
		switch {
		case errors.Is(err, jetstream.ErrBucketNotFound):
			return Status{}, ErrNoCluster
		case errors.Is(err, nats.ErrNoResponders):
			return Status{}, fmt.Errorf("cluster: NATS has no JetStream, or nobody leads it now: %w", err)
		}
		return Status{}, fmt.Errorf("cluster: %w", err)
	}
	bucket, err := store.Open(ctx, n.conn, store.Config{Bucket: bucketOf(o.Name), AnySettings: true})
	if err != nil {
		return Status{}, err
	}
	return readStatus(ctx, o.Name, bucket)
}

// readStatus reads all records.
func readStatus(ctx context.Context, name string, s store.Store) (Status, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates, err := s.Watch(ctx)
	if err != nil {
		return Status{}, err
	}
	r := recordReader{members: map[string]*MemberStatus{}, partitions: map[int]machine.Partition{}}
	for u := range updates {
		if u.Key == "" {
			return r.status(name)
		}
		if !u.Deleted {
			r.read(u)
		}
	}
	if ctx.Err() != nil {
		return Status{}, ctx.Err()
	}
	return Status{}, errors.New("cluster: the connection to NATS was lost")
}

// A recordReader collects records.
type recordReader struct {
	config     machine.Config
	members    map[string]*MemberStatus
	partitions map[int]machine.Partition
}

// read takes a record. One that it doesn't understand, perhaps of a newer version, is left out.
func (r *recordReader) read(u store.Update) {
	kind, name, _ := strings.Cut(u.Key, ".")
	switch kind {
	case "config":
		_ = json.Unmarshal(u.Value, &r.config)
	case "member":
		var m machine.Member
		if json.Unmarshal(u.Value, &m) != nil || m.Dead {
			return
		}
		r.members[name] = &MemberStatus{
			ID:      name,
			Session: cmp.Or(m.Session, u.Revision),
			Weight:  m.Weight,
			Leaving: m.Leaving,
			Wants:   m.Wants,
			Keys:    m.Report.Keys,
			Up:      m.Report.Up,
			Opened:  m.Report.Opened,
			Moves:   m.Report.Moves,
			Losses:  m.Report.Losses,
			Rate:    m.Report.Rate,
		}
	case "part":
		var p machine.Partition
		if n, err := strconv.Atoi(name); err == nil && json.Unmarshal(u.Value, &p) == nil {
			r.partitions[n] = p
		}
	}
}

// status sums up what was read.
func (r *recordReader) status(name string) (Status, error) {
	if r.config.Partitions == 0 {
		return Status{}, ErrNoCluster
	}
	s := Status{Name: name, Partitions: r.config.Partitions, Lease: r.config.Lease}
	for n := range r.config.Partitions {
		p, found := r.partitions[n]
		holder := r.members[p.Member]
		if !found || holder == nil || holder.Session != p.Session {
			s.Free++
			continue
		}
		holder.Partitions++
	}
	for _, m := range r.members {
		s.Moving += len(m.Wants)
		s.Members = append(s.Members, *m)
	}
	slices.SortFunc(s.Members, func(a, b MemberStatus) int { return cmp.Compare(a.Session, b.Session) })
	return s, nil
}
