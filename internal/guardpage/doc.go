// Package guardpage allocates memory between pages that fault when accessed, for tests that assembly
// stays within its slices.
package guardpage
