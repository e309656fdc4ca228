// Package bench compares websock with other libraries. It is a module of its own, so that users of
// websock don't inherit its dependencies.
//
//	make others bench
//
// writes the results to RESULTS.md, in a quarter of an hour; make bench-quick prints a part of them in
// three minutes. Command results says how parts are measured again, and where the raw figures are.
//
// In memory, each client is on a network that costs nothing, so that only its own work is measured.
// The bound does what is necessary and checks nothing:
//
//	go test -run '^$' -bench '^Benchmark(Receive|ReceiveText|Reply|Send)$' -count 5 .
//
// Kernels take turns within one benchmark, for a number of rounds:
//
//	go test -run '^$' -bench 'XOR$|Copy$|Valid$|Unmask|CopyText|NewKey' -benchtime 201x .
//
// So do compressors that connections share. Then there are clients that compress, and the memory of
// their idle connections:
//
//	go test -run '^$' -bench '^BenchmarkDeflate$' -benchtime 201x .
//	go test -run '^$' -bench 'CompressedReceive|CompressedReply' .
//	go test -run '^$' -bench 'CompressedIdle' -benchtime 1x .
//
// Over loopback (Linux only), the client and the server are processes with a processor of their own.
// All clients have the same hand-written server:
//
//	go test -run '^$' -bench 'Echo|Pipelined|Broadcast|Idle' -benchtime 1x .
//	go test -run '^$' -bench 'Echo' -benchtime 5x -websock.full -websock.window 500ms .
//
// Those benchmarks give an order of magnitude. To compare clients, let them take turns and look at the
// ratios, which depend least on other load:
//
//	go run ./compare -list
//	go run ./compare -rounds 9 -cases 'echo/ws/' -contestants raw,websock-std,gorilla
//	go run ./compare -unpinned
//
// On a machine that does other work, let clients run at the same time in short turns, so that it
// disturbs all alike. This is also how two builds are compared:
//
//	go build -o /tmp/before ./compare # and, after a change
//	go run ./compare -slice 50ms -cases 'echo/ws/' -contestants raw,websock-epoll,/tmp/before:websock-epoll
//
// Clients and servers in other languages take part if they are built:
//
//	make others # in the directory above
//
// others/README.md says what they have to do, and how they are measured.
//
// LOOPS.md has results of this kind, and what was tried to make event loops faster. KERNELS.md has those of
// masking and compression, MEMORY.md those of a network in memory.
//
// As echo servers, websock and others are compared in the cases whose names begin with server. All have
// the same client, raw or, with HTTP/2, websock, and each is a process of its own, whose processor time
// and memory are measured.
// A program in any language can take part:
//
//	go run ./compare -rounds 5 -cases '^server/'
//	go run ./compare -rounds 5 -cases '^server/' -program './EchoServer' -program 'websock serve -addr 127.0.0.1:PORT'
//
// SERVERS.md has results, and what makes the difference.
//
// In these cases the turnaround is the time from one echo to the next, as the client sees it. The
// memory is what that many connections add to a thousand others. In broadcast cases the client sends a text
// message on one connection, and the server sends it to all. Servers in Go free what they can before it is measured; a
// program is given time until its memory stays as it is.
//
// Where WebSockets share connections, with HTTP/2, HTTP2.md has results:
//
//	go run ./compare -rounds 3 -ranges -cases shared
//
// raw is the bound, not a WebSocket client or server: an epoll loop that checks nothing or, over TLS, a
// goroutine for each connection that checks nothing. It takes 32 events at once, receives from all of
// their connections, and then sends, which keeps the caches warm. Its variants differ in how they make
// system calls. To add a transport of websock, add it to
// client/websock.go and echo/websock.go.
package bench
