// Package memory has clients without a network: they receive from memory, and what they send is
// discarded. So only their own work is measured.
package memory
