// Command unmask generates the amd64 kernel of package utf8 that unmasks text.
package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/seed004e8d11/websock/internal/gen/xor"
)

func main() {
	build.ConstraintExpr("!purego")
	xor.Build("unmask", "unmaskPortable", true)
	build.Generate()
}
