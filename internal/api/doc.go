// Command api writes what the public packages export to docs/api, one line for each name,
// field and method, so that a change of the public API shows in review.
//
//	go run ./internal/api [module]...
//
// The modules are folders, the module of the working directory first. Each package that
// others can import and that exports something gets a file; files of packages that are gone
// are removed. The listing is that of linux/amd64.
package main
