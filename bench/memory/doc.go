// Package memory has clients that talk to nobody: what they receive comes out of memory,
// and what they send goes nowhere. So all that is measured of them is their own work.
package memory
