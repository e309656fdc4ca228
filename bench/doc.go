// Package bench measures websock beside its peers. It is a module of its own, so
// that users of websock inherit none of the peers.
//
// In memory, contenders take turns within one benchmark; ask for a number of rounds:
//
//	go test -run '^$' -bench 'XOR$|Copy$|Valid$|Unmask|CopyText|NewKey' -benchtime 201x .
//
// Over loopback (Linux only), each client is a process with a processor of its own, and
// so is the server, which is the same for all and written by hand:
//
//	go test -run '^$' -bench 'Echo|Pipelined|Broadcast|Idle' -benchtime 1x .
//	go test -run '^$' -bench 'Echo' -benchtime 5x -websock.full -websock.window 500ms .
//
// Those benchmarks show that all works, and an order of magnitude. To compare, let the
// clients take turns, and look at the ratios, which a busy machine changes least:
//
//	go run ./compare -list
//	go run ./compare -rounds 9 -cases 'echo/ws/' -contestants raw,websock-std,gorilla
//	go run ./compare -unpinned
//
// raw is no client but the bound: an epoll loop that checks nothing, and over TLS a
// goroutine for each connection that checks nothing. Its variants differ in how they
// make system calls. A transport of websock is entered in client/websock.go.
package bench
