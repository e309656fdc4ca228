//go:build unix || windows

package socket

var LingerOf = lingerOf
