// Dist builds the files of a release of cmd/websock: an archive for each platform, with the program,
// its licences, man page and completions; an SBOM for each; and their checksums.
//
//	go run ./internal/dist -version v1.2.3 -cyclonedx PATH linux/amd64 windows/arm64
//
// The same commit and the same version of Go always yield the same bytes, on any machine and in any
// directory. So nothing may depend on the time, the user, the order of a directory or settings of Go
// in the environment. SOURCE_DATE_EPOCH, the seconds since 1970 of the commit, is the time of all files.
//
// Goreleaser does the same and much more, but it is a program of some 500 modules that would have to be
// built to build this one, and its SBOMs have a random serial number.
package main
