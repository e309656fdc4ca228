package sim

import (
	"fmt"
	"time"
)

// lossyLocked returns what befalls messages now.
func (w *world) lossyLocked() *lossy {
	if !w.stormy {
		return &lossy{}
	}
	return &w.sc.lossy
}

// reconnectLocked returns how long it takes at most until a message arrives that waited for the network.
func (w *world) reconnectLocked() time.Duration {
	if w.stormy {
		return w.sc.lease / 4
	}
	return w.sc.lease / 20
}

// liveLocked returns the processes that run, and perhaps are paused, and don't leave.
func (w *world) liveLocked() (live []*node) {
	for _, n := range w.nodes {
		if !n.dead && (n.state == running || n.state == paused) {
			live = append(live, n)
		}
	}
	return live
}

// pickLocked returns one of them, nil if there is none.
func (w *world) pickLocked() *node {
	live := w.liveLocked()
	if len(live) == 0 {
		return nil
	}
	return live[w.rng.IntN(len(live))]
}

// joinLocked starts a process. Some have the name of another.
func (w *world) joinLocked() *node {
	name := fmt.Sprintf("m%d", len(w.nodes))
	if other := w.pickLocked(); other != nil && w.rng.IntN(4) == 0 {
		name = other.name
	}
	return w.startLocked(name)
}

// crashLocked kills a process with its connections.
func (w *world) crashLocked(n *node) {
	if n != nil {
		n.killLocked()
	}
}

// awayLocked takes the store away from all.
func (w *world) awayLocked(d time.Duration) {
	for _, n := range w.liveLocked() {
		n.cutLocked()
		w.afterLocked(d+between(w.rng, 0, w.sc.lease/20), n.restoreLocked)
	}
}

// faultLocked lets one thing go wrong, or come, or go.
func (w *world) faultLocked() {
	lease := w.sc.lease
	n := w.pickLocked()
	most := w.sc.members + w.sc.members/2 + 1
	switch kind := w.rng.IntN(16); {
	case n == nil || kind <= 1:
		if len(w.liveLocked()) < most {
			w.joinLocked()
		}
	case kind == 2:
		n.leaveLocked()
	case kind == 3:
		w.crashLocked(n)
	case kind == 4: // restarted at once, with the same name
		w.crashLocked(n)
		w.afterLocked(between(w.rng, 0, lease/2), func() { w.startLocked(n.name) })
	case kind <= 7:
		n.pauseLocked()
		d := between(w.rng, 0, []time.Duration{lease / 4, lease, 3 * lease}[w.rng.IntN(3)])
		w.afterLocked(d, n.wakeLocked)
	case kind <= 9:
		n.cutLocked()
		w.afterLocked(between(w.rng, 0, []time.Duration{lease / 4, lease, 3 * lease}[w.rng.IntN(3)]), n.restoreLocked)
	case kind == 10: // several are cut off together
		d := between(w.rng, 0, 2*lease)
		for _, n := range w.liveLocked() {
			if w.rng.IntN(2) == 0 {
				n.cutLocked()
				w.afterLocked(d, n.restoreLocked)
			}
		}
	case kind == 11: // the store is away
		w.awayLocked(between(w.rng, 0, []time.Duration{lease / 4, lease, 2 * lease}[w.rng.IntN(3)]))
	case kind == 12:
		for _, n := range w.liveLocked() {
			if w.rng.IntN(3) == 0 {
				n.awakeLocked(n.endWatchesLocked)
			}
		}
	case kind == 13:
		n.slow = 1 + 30*w.rng.Float64()
		w.logLocked("%s: slower by %.1f", n, n.slow)
		w.afterLocked(between(w.rng, 0, 2*lease), func() { n.slow = 1 })
	case kind == 14:
		n.holder.loseLocked(w.rng.Float64())
	case kind == 15 && w.rng.IntN(3) == 0: // all are restarted, one after the other
		live := w.liveLocked()
		gap := between(w.rng, 0, 2*lease/time.Duration(len(live)))
		for i, n := range live {
			w.afterLocked(time.Duration(i)*gap, func() {
				n.leaveLocked()
				w.afterLocked(gap/2, func() { w.startLocked(n.name) })
			})
		}
	}
}

// stormLocked plans faults until a time, and that everything is well afterwards.
func (w *world) stormLocked(d time.Duration) {
	w.stormy = true
	w.stormUntil = w.now() + d
	w.logLocked("storm for %v", d)
	w.afterLocked(between(w.rng, 0, 2*w.sc.every), w.nextFaultLocked)
}

func (w *world) nextFaultLocked() {
	if w.now() < w.stormUntil {
		w.faultLocked()
		w.afterLocked(between(w.rng, 0, 2*w.sc.every), w.nextFaultLocked)
	}
}

// calmLocked ends all that is wrong.
func (w *world) calmLocked() {
	w.stormy = false
	w.logLocked("calm")
	for _, n := range w.nodes {
		n.slow = 1
		n.wakeLocked()
		n.restoreLocked()
	}
	if len(w.liveLocked()) == 0 {
		w.joinLocked()
	}
}
