// Package storetest has a Store in memory, for tests of what uses one, and the tests that every Store
// passes.
package storetest
