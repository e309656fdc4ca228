// Package timing has a timing wheel: one timer for many things that are to be looked at again
// after a while, at an exactness of 20 ms. It has a goroutine only while it looks.
package timing
