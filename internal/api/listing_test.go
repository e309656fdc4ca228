package main

import (
	"go/token"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/internal/exportdata"
)

func TestListingHasEverythingThatIsExportedAndNothingElse(t *testing.T) {
	const path = module + "/internal/api/testdata/sample"
	load, err := exportdata.Load(".", platform, path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := load(token.NewFileSet()).Import(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `const First Kind = 3
const Read Name = "read"
const Text = "a \"text\""
const Untyped = 1099511627776
const Wait time.Duration = 1s
var Err error
var Table map[string][]Kind
func Open(name string, flags ...int) (r io.Reader, err error)
type Closing interface
type Closing interface, Close() error
type Closing interface, Do(Kind) bool
type Duration = time.Duration
type Inside = buffer.Size
type Inside struct
type Inside struct, Bytes int
method (*Inside) Grow(by int)
type Kind int8
method (Kind) String() string
type Name string
type Number interface{~int | ~int8}
type Pair[T any] struct
type Pair[T any] struct, A T
type Pair[T any] struct, B T
method (*Pair[T any]) Swap()
type Sealed interface
type Sealed interface, unexported methods
type Struct struct
type Struct struct, embedded io.Reader
type Struct struct, Exported func(time.Time) error
method (Struct) Inherited()
method (*Struct) OnPointer(n int)
method (Struct) OnValue()
method (Struct) Read(p []byte) (n int, err error)
`
	if got := strings.Join(listing(p), "\n") + "\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEachPackageHasAFileOfItsOwn(t *testing.T) {
	for path, want := range map[string]string{
		module:                    "websock.txt",
		module + "/engine":        "engine.txt",
		module + "/transport/std": "transport/std.txt",
	} {
		if got := fileName(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
