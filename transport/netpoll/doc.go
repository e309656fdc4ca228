// Package netpoll carries connections over github.com/cloudwego/netpoll.
package netpoll
