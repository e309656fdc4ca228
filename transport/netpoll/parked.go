//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import "sync"

// parked are the goroutines that wait for a change of what a mutex guards. A
// connection that works by callback never has one.
type parked struct{ cond *sync.Cond }

// wait unlocks mu until something has changed. It must be asked again what.
func (p *parked) wait(mu *sync.Mutex) {
	if p.cond == nil {
		p.cond = sync.NewCond(mu)
	}
	p.cond.Wait()
}

func (p *parked) wake() {
	if p.cond != nil {
		p.cond.Broadcast()
	}
}
