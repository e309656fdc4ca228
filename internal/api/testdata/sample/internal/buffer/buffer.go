// Package buffer has a type that the sample exports by another name.
package buffer

type Size struct{ Bytes int }

func (*Size) Grow(by int) {}
