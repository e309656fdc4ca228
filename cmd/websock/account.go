package main

import "time"

// An account is what a crew has to show for at the end.
type account struct {
	Connections int64         // up once all were dialled
	Held        int64         // bytes of memory that they took, idle
	Resident    int64         // bytes of memory at the end of the exchange
	Exchanged   int64         // messages received until then
	Taken       time.Duration // of the exchange
	CPU         time.Duration // used in that time
	Final       standing
	Errors      map[string]int64  // by kind
	First       map[string]string // error of each kind
	Latencies   *latency
}

// exchanged notes what there is at the end of the exchange. What is in flight still doesn't
// count here.
func (a *account) exchanged(received int64, taken, cpu time.Duration) {
	a.Exchanged, a.Taken, a.CPU = received, taken, cpu
	a.Resident = residentSize()
}

// ended notes what is final once all connections are closed.
func (a *account) ended(f *fleet) {
	a.Final = f.standing()
	a.Errors, a.First = f.failures.byKind()
	a.Latencies = f.latency()
}

// add adds what another process has to show for.
func (a *account) add(other account) {
	a.Connections += other.Connections
	a.Held += other.Held
	a.Resident += other.Resident
	a.Exchanged += other.Exchanged
	a.Taken = max(a.Taken, other.Taken)
	a.CPU += other.CPU
	a.Final.add(other.Final)
	for kind, count := range other.Errors {
		a.Errors[kind] += count
	}
	for kind, first := range other.First {
		if a.First[kind] == "" {
			a.First[kind] = first
		}
	}
	a.Latencies.merge(other.Latencies)
}

// emptyAccount returns one to add to.
func emptyAccount() account {
	return account{Errors: map[string]int64{}, First: map[string]string{}, Latencies: newLatency()}
}
