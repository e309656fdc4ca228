// Package bench measures websock beside its peers. It is a module of its own, so
// that users of websock inherit none of the peers. RESULTS.md has what came of it;
//
//	make bench
//
// writes it, and make bench-quick shows a part in three minutes.
//
// In memory, each client is on a network that costs nothing, so that only its own work is
// measured; the bound does what has to be done and checks nothing:
//
//	go test -run '^$' -bench '^Benchmark(Receive|ReceiveText|Reply|Send)$' -count 5 .
//
// Of the kernels, contenders take turns within one benchmark; ask for a number of rounds:
//
//	go test -run '^$' -bench 'XOR$|Copy$|Valid$|Unmask|CopyText|NewKey' -benchtime 201x .
//
// So do compressors in the seat that a connection lends; then clients that compress, and what
// their idle connections hold:
//
//	go test -run '^$' -bench '^BenchmarkDeflate$' -benchtime 201x .
//	go test -run '^$' -bench 'CompressedReceive|CompressedReply' .
//	go test -run '^$' -bench 'CompressedIdle' -benchtime 1x .
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
