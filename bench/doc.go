// Package bench measures websock beside its peers. It is a module of its own, so
// that users of websock inherit none of the peers.
package bench
