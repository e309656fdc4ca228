// Package exportdata imports packages of this module, and what they need, as go/types has
// them, from what the go command has compiled.
package exportdata
