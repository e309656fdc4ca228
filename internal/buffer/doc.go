// Package buffer lends byte buffers that many connections share, so that a
// connection holds one only while bytes are under way.
package buffer
