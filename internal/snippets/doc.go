// Package snippets compiles the Go code in documentation, so that readers can copy it.
//
// A block that, after comments, begins with "package", "import", "func", "type", "var" or "const" is a
// file or part of one. Any other block is the body of a function that has a ctx of type
// context.Context and returns an error. Blocks need no import declarations: the packages in Imports are imported as needed. Unused
// variables are allowed.
package snippets
