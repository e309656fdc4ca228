// Package client has the clients that are compared. All do the same Work, in the best configuration
// that their documentation describes, and count it with a Meter.
//
// They send masked binary messages and check the length of each message that they receive. Where the
// caller can choose, they don't check UTF-8, and they compress only if the Work demands it.
package client
