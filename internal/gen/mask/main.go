// Command mask generates the amd64 kernel of package mask.
package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/seed004e8d11/websock/internal/gen/xor"
)

func main() {
	build.ConstraintExpr("!purego")
	xor.Build("apply", "applyPortable", false)
	build.Generate()
}
