package cluster

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
)

// A holder keeps the keys of the partitions that the member holds connected: each is a slot of the
// Group. It is the member.Holder of the Cluster, and the keySet that Keys tells of keys.
type holder struct {
	cluster *Cluster
	known   chan struct{} // closed when it is known which keys there are

	mu      sync.Mutex
	parts   []part
	ending  map[*fanout.Slot]bool // slots that are to end, and have not
	live    int                   // slots of all partitions that have not ended
	backlog int                   // of these: their first attempt has not ended
	cutting bool
	refused []refusedKey // to be logged when the lock is free
}

// A refusedKey is a key that can't have a slot.
type refusedKey struct {
	name string
	err  error
}

// A part is a partition as the holder sees it.
type part struct {
	state   partState
	keys    map[string]*key // all that there are, whoever holds them
	live    int             // slots that have not ended, also of keys that are gone
	untried int             // slots whose first attempt has not ended

	receives  bool        // messages for its keys are taken from NATS
	receiveBy *time.Timer // nil, or when they will be at the latest
}

// A partState says whether the keys of a partition are connected.
type partState uint8

const (
	partClosed   partState = iota
	partOpen               // each key has a slot
	partDraining           // the slots are ending
)

// A key is one of the cluster's.
type key struct {
	value []byte
	slot  *fanout.Slot // nil: it isn't held
	tried bool         // the slot's first attempt has ended
}

func newHolder(c *Cluster, partitions int) *holder {
	h := &holder{cluster: c, known: make(chan struct{}), parts: make([]part, partitions), ending: map[*fanout.Slot]bool{}}
	for i := range h.parts {
		h.parts[i].keys = map[string]*key{}
	}
	return h
}

func (h *holder) partitionOf(name string) int { return assign.PartitionOf(name, len(h.parts)) }

// unlock also logs what is to be logged.
func (h *holder) unlock() {
	refused := h.refused
	h.refused = nil
	h.mu.Unlock()
	for _, k := range refused {
		h.cluster.log(slog.LevelWarn, "can't connect a key", slog.String("key", k.name), slog.Any("error", k.err))
	}
}

// checkLocked has the member told if a partition is settled or has ended, or Cut is done.
func (h *holder) checkLocked(partition int) {
	switch p := &h.parts[partition]; {
	case h.cutting && h.live == 0:
		h.cutting = false
		h.cluster.member.CutDone()
	case p.state == partDraining && p.live == 0:
		p.state = partClosed
		h.cluster.member.Ended(partition)
	case p.state == partOpen && p.untried == 0:
		h.receiveLocked(p)
		h.cluster.counts.settled(partition)
		h.cluster.member.Settled(partition)
	}
}

// Open makes a slot for each key of a partition.
func (h *holder) Open(partition int, _ uint64) {
	h.mu.Lock()
	defer h.unlock()
	p := &h.parts[partition]
	p.state = partOpen
	for name, k := range p.keys {
		h.addSlotLocked(p, name, k)
	}
	if overlap := h.cluster.options.Overlap; overlap == 0 {
		h.receiveLocked(p)
	} else {
		p.receiveBy = time.AfterFunc(overlap, func() { h.receive(p) })
	}
	h.checkLocked(partition)
}

// receive has messages for the keys of a partition taken. With an Overlap that begins when the member
// before closes its connections: until then that one takes them, and no message is sent by both.
func (h *holder) receive(p *part) {
	h.mu.Lock()
	defer h.unlock()
	h.receiveLocked(p)
}

func (h *holder) receiveLocked(p *part) {
	if h.cluster.receiver == nil || p.receives || p.state != partOpen {
		return
	}
	p.receives = true
	for name, k := range p.keys {
		if k.slot != nil {
			h.cluster.receiver.open(name)
		}
	}
}

// closeLocked ends that a partition is open.
func (p *part) closeLocked(s partState) {
	p.state, p.receives = s, false
	if p.receiveBy != nil {
		p.receiveBy.Stop()
		p.receiveBy = nil
	}
}

// addSlotLocked makes a slot for a key. A key that can't have one is logged, and not connected.
func (h *holder) addSlotLocked(p *part, name string, k *key) {
	var value any
	if k.value != nil {
		value = k.value
	}
	slot, err := h.cluster.group.Add(name, fanout.SlotOptions{Value: value})
	if err != nil {
		h.refused = append(h.refused, refusedKey{name, err})
		return
	}
	if p.receives {
		h.cluster.receiver.open(name)
	}
	k.slot, k.tried = slot, false
	p.live++
	p.untried++
	h.live++
	h.backlog++
}

// Drain removes the slots of a partition.
func (h *holder) Drain(partition int) {
	h.mu.Lock()
	defer h.unlock()
	p := &h.parts[partition]
	p.closeLocked(partDraining)
	for name, k := range p.keys {
		h.endSlotLocked(partition, name, k, (*fanout.Slot).Remove)
	}
	h.checkLocked(partition)
}

// Cut has all slots aborted.
func (h *holder) Cut() { go h.cut() } // which takes a while if there are many

func (h *holder) cut() {
	h.abort()
	if p := h.cluster.publisher; p != nil {
		p.cut() // which calls OnDropped: the connections don't wait for that
	}
}

func (h *holder) abort() {
	h.mu.Lock()
	defer h.unlock()
	h.cutting = true
	for slot := range h.ending { // which are given time to send what waits
		slot.Abort()
	}
	for i := range h.parts {
		p := &h.parts[i]
		if p.state == partClosed {
			continue
		}
		p.closeLocked(partClosed)
		for name, k := range p.keys {
			h.endSlotLocked(i, name, k, (*fanout.Slot).Abort)
		}
	}
	h.checkLocked(0)
}

// endSlotLocked has the slot of a key ended, if there is one.
func (h *holder) endSlotLocked(partition int, name string, k *key, end func(*fanout.Slot)) {
	slot := k.slot
	if slot == nil {
		return
	}
	if r := h.cluster.receiver; r != nil {
		r.close(name)
	}
	h.triedLocked(&h.parts[partition], k)
	k.slot = nil
	h.ending[slot] = true
	context.AfterFunc(slot.Context(), func() { h.flush(slot, partition, name) })
	end(slot)
}

// flush waits until what a slot has received is published: what the next holder of the key receives is
// to come after it.
func (h *holder) flush(slot *fanout.Slot, partition int, name string) {
	if p := h.cluster.publisher; p != nil {
		p.flushed(name, func() { h.slotEnded(slot, partition) })
	} else {
		h.slotEnded(slot, partition)
	}
}

func (h *holder) slotEnded(slot *fanout.Slot, partition int) {
	h.mu.Lock()
	defer h.unlock()
	delete(h.ending, slot)
	h.parts[partition].live--
	h.live--
	h.checkLocked(partition)
}

// SetRate has the Group dial no faster.
func (h *holder) SetRate(rate float64) { h.cluster.group.SetRate(rate) }

// Report sums up what the member holds. It is called often.
func (h *holder) Report() (r machine.Report, backlog int) {
	live, backlog := h.keys()
	return machine.Report{Keys: live, Up: h.cluster.group.Count(fanout.Up), Opened: h.cluster.counts.opened.Load()}, backlog
}

// keys returns how many slots there are that have not ended, and how many of these have not been tried.
func (h *holder) keys() (live, untried int) {
	h.mu.Lock()
	defer h.unlock()
	return h.live, h.backlog
}

// tried is called when an attempt of a slot has ended.
func (h *holder) tried(s *fanout.Slot) {
	name := s.Key()
	partition := h.partitionOf(name)
	h.mu.Lock()
	defer h.unlock()
	p := &h.parts[partition]
	if k := p.keys[name]; k != nil && k.slot == s && h.triedLocked(p, k) {
		h.checkLocked(partition)
	}
}

// triedLocked counts a slot whose first attempt has ended, and reports whether it wasn't counted before.
func (h *holder) triedLocked(p *part, k *key) bool {
	if k.tried {
		return false
	}
	k.tried = true
	p.untried--
	h.backlog--
	h.cluster.member.BacklogChanged()
	return true
}

// put adds a key, or gives it another value. Its slot then reconnects.
func (h *holder) put(name string, value []byte) {
	h.mu.Lock()
	defer h.unlock()
	p := &h.parts[h.partitionOf(name)]
	k := p.keys[name]
	switch {
	case k == nil:
		k = &key{value: value}
		p.keys[name] = k
		if p.state == partOpen {
			h.addSlotLocked(p, name, k)
		}
	case !bytes.Equal(k.value, value):
		k.value = value
		if k.slot != nil {
			k.slot.SetValue(value)
			k.slot.Reconnect()
		}
	}
}

func (h *holder) remove(name string) {
	h.mu.Lock()
	defer h.unlock()
	h.removeLocked(name)
}

func (h *holder) removeLocked(name string) {
	partition := h.partitionOf(name)
	p := &h.parts[partition]
	if k := p.keys[name]; k != nil {
		h.endSlotLocked(partition, name, k, (*fanout.Slot).Remove)
		delete(p.keys, name)
		h.checkLocked(partition)
	}
}

// replace doesn't hold the lock all the time: the member wants to renew its lease meanwhile.
func (h *holder) replace(all map[string][]byte) {
	for i := range h.parts {
		h.keep(&h.parts[i], all)
	}
	for name, value := range all {
		h.put(name, value)
	}
	select {
	case <-h.known:
	default:
		close(h.known)
	}
}

// keep removes the keys of a partition that are not among all.
func (h *holder) keep(p *part, all map[string][]byte) {
	h.mu.Lock()
	defer h.unlock()
	for name := range p.keys {
		if _, kept := all[name]; !kept {
			h.removeLocked(name)
		}
	}
}
