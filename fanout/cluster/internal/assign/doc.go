// Package assign says which partition a key is in, and which member a partition is to be held by. All
// members of a cluster, whatever they run on and whichever version, have to come to the same answers:
// everything here is integer arithmetic, and never changes.
package assign
