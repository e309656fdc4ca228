package h2

import (
	"time"

	"golang.org/x/net/http2"
)

// A nuisance bounds the frames of the peer that are cheap to send and bring nothing: PING, SETTINGS,
// RST_STREAM, PRIORITY, empty DATA, frames of streams that have ended, unknown ones, and requests that
// are malformed (RFC 9113 section 10.5). Each second the peer may send nuisancesPerSecond of them more,
// up to the number that may come at once.
type nuisance struct {
	most, left int
	since      time.Time // when left was raised last
}

const (
	mostSettings = 100 // of one frame

	leastNuisances     = 1000 // that may come at once, if few streams are allowed
	nuisancesPerSecond = 200
)

func (n *nuisance) init(maxStreams int) {
	n.most = max(leastNuisances, 4*maxStreams) // all streams may be reset at once, for example
	n.left = n.most
	n.since = time.Now()
}

// count counts one, and returns an error if there are too many.
func (n *nuisance) count() *SessionError {
	if n.left == 0 {
		now := time.Now()
		n.left = int(min(now.Sub(n.since).Seconds()*nuisancesPerSecond, float64(n.most)))
		if n.left == 0 {
			return violation(http2.ErrCodeEnhanceYourCalm, "too many frames that bring nothing")
		}
		n.since = now
	}
	n.left--
	return nil
}

// recentResets are the streams that we have reset last, as many as were open at once. Frames of these
// may be under way: as much payload as their windows had room for isn't a nuisance.
type recentResets struct {
	all  []recentReset
	next int // where the oldest is
}

type recentReset struct {
	id     uint32
	window int32 // how much payload may be under way
}

const leastResets = 32

func (r *recentResets) add(id uint32, window int64, peak int) {
	reset := recentReset{id, int32(max(window, 0))}
	if len(r.all) < max(leastResets, peak) {
		r.all = append(r.all, reset)
		return
	}
	r.all[r.next] = reset
	r.next = (r.next + 1) % len(r.all)
}

// find returns the entry of a stream, or nil.
func (r *recentResets) find(id uint32) *recentReset {
	for i := range r.all {
		if r.all[i].id == id {
			return &r.all[i]
		}
	}
	return nil
}

// allows reports whether so much payload of a stream may have been under way when it was reset.
func (r *recentResets) allows(id uint32, size int) bool {
	size = max(size, 1) // of END_STREAM alone
	reset := r.find(id)
	if reset == nil || int(reset.window) < size {
		return false
	}
	reset.window -= int32(size)
	return true
}

// remove forgets a stream: nothing of it is under way any more.
func (r *recentResets) remove(id uint32) {
	if reset := r.find(id); reset != nil {
		*reset = recentReset{}
	}
}
