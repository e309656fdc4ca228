// Package endtoend tests clusters of real processes: they are killed, stopped and started again, and so
// are the NATS servers through which they agree. A server of package feed is the judge.
package endtoend
