// Package backlog has streams of a few bytes that cost a Handler much work, for tests that other
// connections and deadlines are still served meanwhile.
package backlog
