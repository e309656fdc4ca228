// Package tree holds the rules of this source tree, as a test: which package may
// import which, that the core starts no goroutine and keeps no time, that everything
// exported is documented and every package has an example.
package tree
