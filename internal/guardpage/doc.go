// Package guardpage lends tests memory between pages that fault when touched, to show that
// assembly stays within its slices.
package guardpage
