package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A fanoutJob is what the command fanout is told to do.
type fanoutJob struct {
	stdio
	dialFlags
	urls      []string
	n         int
	size      int
	window    int
	duration  time.Duration
	rate      float64
	transport string
	proxy     string
	procs     int
	reconnect bool
	tls       bool
	text      bool
	json      bool
	page      string
}

func fanoutCommand(streams stdio) *ffcli.Command {
	f := &fanoutJob{stdio: streams}
	fs := streams.flagSet("fanout")
	f.register(fs)
	return &ffcli.Command{
		Name:       "fanout",
		ShortUsage: "websock fanout [flags]",
		ShortHelp:  "open many connections, exchange messages, measure",
		LongHelp:   "Without -url it starts an echo server of its own, as a child process.",
		FlagSet:    fs,
		Exec:       f.exec,
	}
}

func (f *fanoutJob) register(fs *flag.FlagSet) {
	f.dialFlags.register(fs)
	fs.Func("url", "`URL` of an echo server (repeatable: connections are spread over them)", f.addURL)
	fs.IntVar(&f.n, "n", 1000, "connections")
	fs.IntVar(&f.size, "size", 128, "bytes of a message")
	fs.IntVar(&f.window, "window", 1, "messages in flight on each connection")
	fs.DurationVar(&f.duration, "duration", 5*time.Second, "how long messages are sent")
	fs.Float64Var(&f.rate, "rate", 0, "connections dialled in a second (0: as many as can be)")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "limit of each opening handshake, and of the wait for the last echoes")
	fs.StringVar(&f.transport, "transport", defaultTransport, "what carries the connections: "+transportNames())
	fs.StringVar(&f.proxy, "proxy", "", "`URL` of a proxy to connect through: http, https, socks5 or socks5h (default: what the environment says)")
	fs.IntVar(&f.procs, "procs", 0, "processors to use (0: all)")
	fs.BoolVar(&f.reconnect, "reconnect", false, "dial again, after a while, what fails or is lost")
	fs.BoolVar(&f.tls, "tls", false, "have the server of its own speak TLS (wss)")
	fs.BoolVar(&f.text, "text", false, "send text, not binary messages")
	fs.BoolVar(&f.json, "json", false, "print one JSON object, not a table")
	fs.StringVar(&f.page, "report", "", "`file` to write a web page with charts to")
}

func (f *fanoutJob) addURL(raw string) error {
	f.urls = append(f.urls, raw)
	return checkURL(raw)
}

func (f *fanoutJob) exec(ctx context.Context, args []string) error {
	if err := f.check(args); err != nil {
		return err
	}
	server := "given"
	if len(f.urls) == 0 {
		child, err := f.startServer()
		if err != nil {
			return err
		}
		defer child.stop()
		f.urls = []string{child.url}
		server = "child process"
	}
	config, err := f.config()
	if err != nil {
		return err
	}
	config.Transport = transports[f.transport]
	if f.proxy != "" {
		via, _ := url.Parse(f.proxy) // checked
		config.Proxy = websock.ProxyURL(via)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(f.procs))
	fleet := newFleet(f.urls, config, newMessage(f.text, f.size), f.window, f.fit())
	fleet.reconnect = f.reconnect
	r, err := f.measure(ctx, fleet)
	if err != nil {
		return err
	}
	r.Server = server
	if err := f.print(r); err != nil {
		return err
	}
	if f.page != "" {
		if err := r.writePage(f.page); err != nil {
			return err
		}
	}
	if r.ErrorsTotal > 0 || r.Sent != r.Received {
		return errReported
	}
	return nil
}

// startServer starts the server of its own, and trusts its certificate if it has one.
func (f *fanoutJob) startServer() (*child, error) {
	if !f.tls {
		return startServer(f.err, "-transport", f.transport)
	}
	certificate, err := newSelfSigned()
	if err != nil {
		return nil, err
	}
	defer certificate.remove() // once it is loaded
	if f.ca == "" {
		f.trusted, err = trusting(certificate.cert)
		if err != nil {
			return nil, err
		}
	}
	return startServer(f.err, "-transport", f.transport, "-tls-cert", certificate.cert, "-tls-key", certificate.key)
}

const maxWindow = 1 << 16

// check refuses flags that make no sense.
func (f *fanoutJob) check(args []string) error {
	switch {
	case len(args) > 0:
		return f.misused("fanout takes no arguments, but there is %q", args[0])
	case f.n < 1:
		return f.misused("-n is at least 1")
	case f.window < 1 || f.window > maxWindow:
		return f.misused("-window is 1 to %d", maxWindow)
	case f.size < 0 || f.size > engine.DefaultMessageSize:
		return f.misused("-size is 0 to %d", engine.DefaultMessageSize)
	case f.duration <= 0 || f.timeout <= 0 || f.rate < 0:
		return f.misused("-duration and -timeout are above 0, and -rate is not below")
	case f.procs < 0:
		return f.misused("-procs is not below 0")
	case f.proxy != "" && !isProxyURL(f.proxy):
		return f.misused("-proxy is no URL of an http, https, socks5 or socks5h proxy: %q", f.proxy)
	case transports[f.transport] == nil:
		return f.misused("there is no transport %q; there is: %s", f.transport, transportNames())
	}
	return nil
}

// fit returns how many connections the limit of open files allows, and says so if
// they are fewer than asked for.
func (f *fanoutJob) fit() int {
	n := fitFiles(f.n)
	if n < f.n {
		fmt.Fprintf(f.err, "websock: %d connections were asked for; the limit of open files allows %d, and so many are opened\n", f.n, n)
	}
	return n
}

// isProxyURL reports whether raw is the URL of a proxy.
func isProxyURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Hostname() != "" && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
}

// measure has the fleet do its work.
func (f *fanoutJob) measure(ctx context.Context, fleet *fleet) (*report, error) {
	r := &report{URLs: f.urls, Transport: f.transport, Asked: f.n, Size: f.size, Window: f.window}
	sampler := sample(fleet)
	defer sampler.stop()
	var failed error
	memory, begin := memoryInUse(), time.Now()
	f.during(dialling(fleet), func() { failed = fleet.dial(ctx, f.rate) })
	if failed != nil {
		return nil, failed
	}
	r.dialled(fleet, time.Since(begin))
	r.held(memoryInUse() - memory)

	cpu, begin := cpuTime(), time.Now()
	f.during(exchanging(fleet, f.duration), func() { fleet.exchange(ctx, f.duration) })
	r.exchanged(fleet, time.Since(begin), cpuTime()-cpu)

	fleet.drain(f.timeout)
	fleet.close()
	r.samples = sampler.stop()
	r.ended(fleet)
	return r, nil
}
