// Package rawcall makes the system calls of the event loops that are the bound: in the cheapest way, and
// in others that show what it saves.
package rawcall
