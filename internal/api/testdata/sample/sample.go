// Package sample has one of everything that a listing tells apart.
package sample

import (
	"io"
	"time"

	"github.com/seed004e8d11/websock/internal/api/testdata/sample/internal/buffer"
)

const (
	Untyped               = 1 << 40
	Text                  = "a \"text\""
	Wait    time.Duration = time.Second
	First   Kind          = iota
	Read    Name          = "read"
	hidden
)

var (
	Err    error
	Table  = map[string][]Kind{}
	secret int
)

func Open(name string, flags ...int) (r io.Reader, err error) { return nil, nil }

func hide() {}

type Kind int8

type Name string

func (Kind) String() string { return "" }

type Duration = time.Duration

type Inside = buffer.Size

type Pair[T any] struct{ A, B T }

func (*Pair[T]) Swap() {}

type Struct struct {
	io.Reader
	*inner
	Exported func(time.Time) error `tag:"x"`
	hidden   int
}

type inner struct{}

func (*inner) Inherited()       {}
func (Struct) OnValue()         {}
func (*Struct) OnPointer(n int) {}
func (*Struct) hidden2()        {}

type Closing interface {
	io.Closer
	Do(Kind) bool
}

type Sealed interface{ seal() }

type Number interface{ ~int | ~int8 }

type unexported struct{ Field int }
