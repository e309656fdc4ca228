package fanout

import (
	"log/slog"
	"slices"
	"time"

	"github.com/seed004e8d11/websock"
)

// The connections of a host that are lost are logged together: those of a first second and then, as
// long as at least two are lost in a window, of windows each twice as long as the last one, up to
// maxLossWindow.
const (
	lossWindow    = time.Second
	maxLossWindow = time.Minute
)

// losses are the connections to a host that were lost.
type losses struct {
	window   time.Duration // 0: nothing was lost for a while
	until    time.Time     // when the window ends
	lost     uint64        // in this window
	missing  uint64        // lost, and for which no attempt has succeeded since
	reported uint64        // that were logged while some were missing

	// The most frequent close code of the window, if more than half have it, or else one of them. votes
	// is by how many it leads.
	code  websock.CloseCode
	err   error // the last one with that code
	votes uint64
}

// begin begins to count.
func (l *losses) begin(now time.Time) {
	if l.reported == 0 {
		l.missing = 0 // slots that were removed, or went elsewhere, are no longer missed
	}
	l.next(lossWindow, now)
}

// next begins a window.
func (l *losses) next(window time.Duration, now time.Time) {
	l.window, l.until = window, now.Add(window)
	l.lost, l.err, l.votes = 0, nil, 0
}

func (l *losses) add(err error) {
	l.lost++
	l.missing++
	switch code := closeCodeOf(err); {
	case l.votes == 0:
		l.code, l.err, l.votes = code, err, 1
	case l.code == code:
		l.err = err
		l.votes++
	default:
		l.votes--
	}
}

// lost is called when a connection to a host was lost.
func (q *dialQueue) lost(hostName string, err error) {
	q.mu.Lock()
	defer q.unlock()
	if q.closed || q.hosts[hostName] == nil && len(q.hosts) > maxHosts {
		return
	}
	h, now := q.hostLocked(hostName), time.Now()
	if h.losses.window == 0 {
		h.losses.begin(now)
		if len(q.losing) == 0 {
			q.lossesDue = h.losses.until
			q.setTimerLocked(lossWindow, now)
		}
		q.losing = append(q.losing, h)
	}
	h.losses.add(err)
}

// logLossesLocked ends the windows that are over. It looks at all hosts at most once in a lossWindow,
// and returns how long it is until the next time; 0: nothing is counted.
func (q *dialQueue) logLossesLocked(now time.Time) (next time.Duration) {
	if len(q.losing) == 0 {
		return 0
	}
	if left := q.lossesDue.Sub(now); left > 0 {
		return left
	}
	q.losing = slices.DeleteFunc(q.losing, func(h *host) bool { return !q.countsLossesLocked(h, now) })
	if len(q.losing) == 0 {
		return 0
	}
	q.lossesDue = now.Add(lossWindow)
	return lossWindow
}

// countsLossesLocked ends the window of a host if it is over, and reports whether there is another one.
func (q *dialQueue) countsLossesLocked(h *host, now time.Time) bool {
	l := &h.losses
	switch {
	case now.Before(l.until):
		return true
	case l.lost < 2:
		l.next(0, now)
		q.listLocked(h)
		return false
	}
	q.logLocked(slog.LevelInfo, "connections were lost", slog.String("host", h.name),
		slog.Uint64("lost", l.lost), slog.Uint64("missing", l.missing), slog.Any("error", l.err))
	if l.missing > 0 {
		l.reported += l.lost
	}
	l.next(min(2*l.window, maxLossWindow), now)
	return true
}

// noteReturnLocked counts an attempt that has succeeded against the connections that were lost.
func (q *dialQueue) noteReturnLocked(h *host) {
	l := &h.losses
	if l.missing == 0 {
		return
	}
	if l.missing--; l.missing == 0 && l.reported > 0 {
		q.logLocked(slog.LevelInfo, "connections are back", slog.String("host", h.name), slog.Uint64("lost", l.reported))
		l.reported = 0
	}
}
