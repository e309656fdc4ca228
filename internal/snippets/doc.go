// Package snippets compiles the Go code in documentation, so that what readers copy works.
//
// A block that begins with "package", "import", "func", "type", "var" or "const" is a file or
// a part of one. Any other is the body of a function that has a ctx of type context.Context
// and returns an error. Blocks need no imports: those of the names in Imports are added. A
// variable that is not used is no mistake in a snippet.
package snippets
