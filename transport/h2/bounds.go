package h2

import (
	"slices"
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
		n.left = min(int(now.Sub(n.since).Seconds()*nuisancesPerSecond), n.most)
		if n.left == 0 {
			return violation(http2.ErrCodeEnhanceYourCalm, "too many frames that bring nothing")
		}
		n.since = now
	}
	n.left--
	return nil
}

// recentResets are the streams that we have reset last. Frames of these may be under way.
type recentResets struct {
	ids  [128]uint32
	next int
}

func (r *recentResets) add(id uint32) {
	r.ids[r.next] = id
	r.next = (r.next + 1) % len(r.ids)
}

func (r *recentResets) has(id uint32) bool { return slices.Contains(r.ids[:], id) }

func (r *recentResets) remove(id uint32) {
	if i := slices.Index(r.ids[:], id); i >= 0 {
		r.ids[i] = 0
	}
}
