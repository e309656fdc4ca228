package main

import (
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"", 2, "SUBCOMMANDS"},
		{"-h", 0, "SUBCOMMANDS"},
		{"fly", 2, `no command "fly"`},
		{"fanout -h", 0, "-window 1"},
		{"fanout -wings 2", 2, "not defined: -wings"},
		{"fanout -n many", 2, "invalid value"},
		{"fanout --n 0", 2, "-n is at least 1"},
		{"fanout -window 0", 2, "-window is 1 to"},
		{"fanout -size -1", 2, "-size is 0 to"},
		{"fanout -duration 0s", 2, "-duration"},
		{"fanout -procs 0", 2, "-procs is at least 1"},
		{"fanout -source 127.0.0.1,loopback", 2, "loopback"},
		{"fanout -proxy ftp://a", 2, "-proxy is no URL"},
		{"fanout here", 2, "takes no arguments"},
		{"fanout -url ftp://127.0.0.1/", 2, "ftp://127.0.0.1/: not a ws:// or wss:// URL"},
		{"fanout -url ws://127.0.0.1:99999/ -n 1000", 2, "port"},
		{"fanout -url ws:///path", 2, "no host"},
		{"fanout -url ws://me@127.0.0.1/", 2, "user name"},
		{"fanout -header Upgrade:pigeon", 2, "Upgrade"},
		{"fanout -header b@d:1 -url ws://127.0.0.1:1/", 2, "b@d"},
		{"fanout -subprotocol a/b", 2, "a/b"},
		{"fanout -n 100000000", 2, "-n is at least 1"},
		{"fanout -procs 100000", 2, "-procs is at least 1"},
		{"fanout -part -2", 2, "-part"},
		{"fanout -rate nan", 2, "-rate is"},
		{"fanout -rate inf", 2, "-rate is"},
		{"fanout -rate -inf", 2, "-rate is"},
		{"fanout -rate -1", 2, "-rate is"},
		{"fanout -timeout -1s", 2, "-timeout"},
		{"fanout -proxy http://127.0.0.1:99999", 2, "-proxy is no URL"},
		{"fanout -streams 5", 2, "-streams needs -h2"},
		{"fanout -h2 -streams -1", 2, "-streams is 0 to"},
		{"fanout -h2 -streams 10000000", 2, "-streams is 0 to"},
		{"fanout -h2 -header Keep-Alive:1", 2, "Keep-Alive"},
		{"fanout -header nothing", 2, `"Name: value"`},
		{"fanout -transport pigeon", 2, `no transport "pigeon"; there is: epoll, netpoll, std`},
		{"fanout -ca /nowhere/at/all.pem", 1, "websock: open /nowhere/at/all.pem"},
		{"fanout -report /nowhere/at/all.html", 1, "websock: open /nowhere/at/all.html"},
		{"fanout -ca main.go", 1, "no certificate in main.go"},
		{"fanout -threshold latency.p99<fast", 2, "has a unit"},
		{"fanout -threshold speed>1", 2, `no figure "speed"`},
		{"fanout -threshold", 2, "needs an argument"},
		{"fanout -series-interval 1s", 2, "-series-interval needs -series"},
		{"fanout -series a.csv -series-interval 99ms", 2, "-series-interval is at least 100ms"},
		{"fanout -series - -json", 2, "-series - and -json"},
		{"fanout -series /nowhere/at/all.csv", 1, "websock: open /nowhere/at/all.csv"},
		{"fanout -prom 9090", 2, "-prom is not a host and port"},
		{"fanout -prom 192.0.2.1:0", 1, "192.0.2.1"},
		{"fanout -cluster=a.b", 2, "letters, digits"},
		{"fanout -cluster=", 2, "letters, digits"},
		{"fanout -cluster -procs 2", 2, "-cluster and -procs"},
		{"fanout -nats nats://127.0.0.1", 2, "-nats needs -cluster"},
		{"fanout -cluster=false -lease 1s", 2, "-lease needs -cluster"},
		{"fanout -cluster -lease 0s", 2, "-lease must be positive"},
		{"fanout -cluster -lease 1ms", 2, "-lease is below 500ms"},
		{"fanout -cluster -dir /nowhere -nats nats://127.0.0.1:1", 2, "-dir is for a NATS server in the members"},
		{"cluster status -creds /nowhere/at/all.creds", 2, "-creds needs -nats"},
		{"fanout -cluster -weight 0", 2, "-weight is"},
		{"fanout -cluster -weight nan", 2, "-weight is"},
		{"fanout -cluster -peers 127.0.0.1", 2, "missing port"},
		{"fanout -cluster -peers 127.0.0.1:1,127.0.0.2:1", 2, "-peers and -peer-listen"},
		{"fanout -cluster -peers 127.0.0.1:1 -peer-listen 127.0.0.1:1 -nats nats://127.0.0.1", 2, "-peers is for"},
		//		{"fanout -cluster -peer-secret x", 2, "-peer-secret needs -peers"},
		{"fanout -cluster -peers 127.0.0.1:1 -peer-listen 127.0.0.1:1 -peer-secret /nowhere/at/all", 1, "/nowhere/at/all"},
		{"fanout -cluster -creds /nowhere/at/all.creds -nats nats://127.0.0.1:1", 1, "/nowhere/at/all.creds"},
		//		{"fanout -cluster -nats nats://127.0.0.1:1", 3, "connect to NATS"},
		{"cluster", 2, "SUBCOMMANDS"},
		{"cluster -h", 0, "SUBCOMMANDS"},
		{"cluster fly", 2, `no command cluster "fly"`},
		{"cluster status -h", 0, "-every"},
		{"cluster status a b", 2, "takes one name"},
		{"cluster status a.b", 2, "letters, digits"},
		{"cluster status -every -1s", 2, "-every"},
		{"cluster status -timeout 0s", 2, "-timeout"},
		{"cluster status -dir /nowhere/at/all", 3, "/nowhere/at/all"},
		{"cluster status -nats nats://127.0.0.1:1", 3, "connect to NATS"},
		{"compare", 2, "takes two files"},
		{"compare a.json", 2, "takes two files"},
		{"compare a.json b.json -json", 2, "after the flags"},
		{"compare - -", 2, "one result only"},
		{"compare -fail-above much a.json b.json", 2, "a percentage"},
		{"compare -fail-above -1% a.json b.json", 2, "a percentage"},
		{"compare -fail-above nan a.json b.json", 2, "a percentage"},
		{"compare -figures latency a.json b.json", 2, `no figure "latency"`},
		{"compare -figures errors_total a.json b.json", 2, "-figures needs -fail-above"},
		{"compare /nowhere/at/all.json b.json", 1, "websock: open /nowhere/at/all.json"},
		{"compare main.go main.go", 1, "websock: main.go: no result of fanout -json"},
		{"compare - main.go", 1, "websock: standard input: it is empty"},
		{"connect", 2, "takes one URL"},
		{"connect example.com", 2, "not a ws:// or wss:// URL"},
		{"connect ws://127.0.0.1:99999/", 2, "port"},
		{"connect ws://me@127.0.0.1/", 2, "user name"},
		{"connect -header Host:me ws://127.0.0.1:1/", 2, "Host"},
		{"connect -header b@d:1 ws://127.0.0.1:1/", 2, "b@d"},
		{"connect -subprotocol a,b ws://127.0.0.1:1/", 2, "a,b"},
		{"connect -subprotocol a -subprotocol a ws://127.0.0.1:1/", 2, "repeated"},
		{"connect -timeout -1s ws://127.0.0.1:1/", 2, "-timeout"},
		{"connect -wait -1s ws://127.0.0.1:1/", 2, "-wait"},
		{"connect -h2 -header TE:gzip ws://127.0.0.1:1/", 2, "TE"},
		{"completion", 2, "bash, fish, zsh"},
		{"completion csh", 2, "bash, fish, zsh"},
		{"help flying", 2, "the name of a command"},
		{"serve twice", 2, "takes no arguments"},
		{"serve -tls-cert x", 2, "-tls-key"},
		{"serve -h2c -tls", 2, "-h2c is for a server without TLS"},
		{"serve -h2c -tls-cert x -tls-key y", 2, "-h2c is for a server without TLS"},
		{"serve -streams 0", 2, "-streams is 1 to"},
		{"serve -push -1s", 2, "-push"},
		{"serve -addr 127.0.0.1:none", 2, "none"},
		{"serve -addr 127.0.0.1:99999", 2, "99999"},
		{"serve -addr 127.0.0.1", 2, "-addr"},
		{"serve -addr 192.0.2.1:0", 1, "192.0.2.1"},
		{"listen", 2, "takes an address and a command"},
		{"listen 8080 --", 2, "takes an address and a command"},
		{"listen port -- cat", 2, `"port" is not a port`},
		{"listen 127.0.0.1:99999 -- cat", 2, "99999"},
		{"listen -max 0 8080 -- cat", 2, "-max is 1 to"},
		{"listen -max-message 0 8080 -- cat", 2, "-max-message is 1 to"},
		{"listen -allow-origin example.com 8080 -- cat", 2, "is no origin"},
		{"listen -allow-origin https://example.com/page 8080 -- cat", 2, "is no origin"},
		{"listen -path feed 8080 -- cat", 2, "-path begins with /"},
		{"listen -tls-key x 8080 -- cat", 2, "-tls-cert"},
		{"listen -timeout -1s 8080 -- cat", 2, "-timeout and -grace"},
		{"listen -subprotocol a/b 8080 -- cat", 2, "a/b"},
		{"listen -tls-key /nowhere/at/all -tls-cert /nowhere/at/all 0 -- cat", 1, "/nowhere/at/all"},
		{"listen 8080 -- /nowhere/at/all", 1, "/nowhere/at/all"},
		{"version please", 2, "takes no arguments"},
	} {
		got := command(t.Context(), "", strings.Fields(test.args)...)
		if got.code != test.code || !strings.Contains(got.err, test.says) || got.out != "" {
			t.Errorf("websock %s: %+v, want %d and %q", test.args, got, test.code, test.says)
		}
		if strings.Contains(got.err, "websock: websock:") {
			t.Errorf("websock %s: twice its name: %s", test.args, got.err)
		}
		if test.code == 2 && !strings.Contains(got.err, "USAGE") {
			t.Errorf("websock %s: no usage: %s", test.args, got.err)
		}
	}
}

func TestVersion(t *testing.T) {
	got := command(t.Context(), "", "version")
	if got.code != 0 || !strings.HasPrefix(got.out, "websock ") {
		t.Errorf("%+v", got)
	}
}
