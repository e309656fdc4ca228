package cluster_test

import (
	"fmt"

	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// The members of a cluster have the same options, but for those that are about the member itself.
func ExampleOptions() {
	o := cluster.Options{
		Name: "tickers",
		URL:  "nats://nats.example",
		Fanout: fanout.Options{
			Targets: fanout.URLs("wss://feed.example/ticker"),
		},
		Rate: 50, // connections a second, of all members together
	}
	fmt.Println(o.Name)
	// Output: tickers
}
