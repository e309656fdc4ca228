module github.com/seed004e8d11/websock/internal/gen

go 1.26.0

require github.com/mmcloughlin/avo v0.5.0

require (
	github.com/google/go-cmp v0.7.0 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
)
