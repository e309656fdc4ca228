// Package frametest has frames in a notation for tests, and streams of them.
package frametest
