// Package buffer has pooled byte buffers that many connections share, so that a connection holds one
// only while it handles bytes.
package buffer
