// Command results runs the benchmarks and writes RESULTS.md and its charts.
//
// They are in parts: memory, loopback, http2 and servers. Each part leaves a file with its raw figures in
// the directory -raw, in the format of go test -bench, which benchstat reads. RESULTS.md and the charts are
// written from these files, so parts can be measured one by one:
//
//	go run ./results                      # everything, in about a quarter of an hour
//	go run ./results -only servers        # one part; the document has the newest figures of the others
//	go run ./results -only charts         # measures nothing
//
// Benchmarks in memory run in rounds, so that other load slows all contestants alike. Over loopback,
// contestants that exchange messages run at the same time, in slices, for the same reason.
package main
