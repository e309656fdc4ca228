/*
Delays runs the tests of a package again and again, and each time goroutines wait at other places:
before and after a lock, an operation on a channel, a read or write, and before they start. So it
finds tests, and code, that depend on an order of goroutines that nothing ensures, even where the
wrong order takes a pause within a few instructions, and else happens once in a million runs.

	go run ./internal/delays [-race] [-seeds 1-20] directory [flags of the test binary]

A place is a call together with the calls that lead to it, five in all. The seed chooses one place in
eight; there, the first six times, a goroutine waits 1, 3, 12 or 40 ms. One seed chooses the same places
each time, so

	go run ./internal/delays -seeds 11 . -test.run '^TestOnClose'

mostly repeats what the seed 11 has found. In a testing/synctest bubble nothing waits. A test that
counts allocations or bounds real time may fail because of the delays alone.

The tests are compiled with changed sources of package runtime and three others, which "go build
-overlay" puts in the place of those of the toolchain. They are made from the toolchain's own, so
a release of Go that changes the lines concerned needs a change in overlay.go. It works on Linux,
amd64 and arm64, as it looks at frame pointers.
*/
package main
