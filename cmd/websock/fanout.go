package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/fanout"
)

// A fanoutJob is what the command fanout is told to do.
type fanoutJob struct {
	stdio
	dialFlags
	given     []string // the flags
	urls      []string
	urlsGiven int // of these; the others are of servers of its own
	sources   []netip.Addr
	n         int
	size      int
	window    int
	duration  time.Duration
	rate      float64
	transport string
	proxy     string
	procs     int
	part      int // number of the first connection, of a process that is a part; -1: it is none
	reconnect bool
	tls       bool
	text      bool
	json      bool
	page      string
}

func fanoutCommand(streams stdio, given []string) *ffcli.Command {
	f := &fanoutJob{stdio: streams, given: given}
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
	fs.Func("url", "`URL` of an echo server (repeatable: connections are spread over them)", func(url string) error {
		f.urls = append(f.urls, url)
		return nil
	})
	fs.IntVar(&f.n, "n", 1000, "connections")
	fs.IntVar(&f.size, "size", 128, "bytes of a message")
	fs.IntVar(&f.window, "window", 1, "messages in flight on each connection")
	fs.DurationVar(&f.duration, "duration", 5*time.Second, "how long messages are sent")
	fs.Float64Var(&f.rate, "rate", 0, "connections dialled in a second (0: as many as can be)")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "limit of each opening handshake, and of the wait for the last echoes")
	fs.StringVar(&f.transport, "transport", defaultTransport, "what carries the connections: "+transportNames())
	fs.StringVar(&f.proxy, "proxy", "", "`URL` of a proxy to connect through: http, https, socks5 or socks5h (default: what the environment says)")
	fs.IntVar(&f.procs, "procs", 1, "processes that share the connections: the limit of open files is one for each")
	fs.Func("source", "`addresses` to connect from, in turn, with commas between: each has ports for some 28,000 connections to a server, 14,000 of which are found quickly", f.addSources)
	fs.BoolVar(&f.reconnect, "reconnect", false, "dial again, after a while, what fails or is lost")
	fs.BoolVar(&f.tls, "tls", false, "have the server of its own speak TLS (wss)")
	fs.BoolVar(&f.text, "text", false, "send text, not binary messages")
	fs.BoolVar(&f.json, "json", false, "print one JSON object, not a table")
	fs.StringVar(&f.page, "report", "", "`file` to write a web page with charts to")
	fs.IntVar(&f.part, "part", -1, "be one of several processes, whose first connection has this `number`: for -procs, which sets it")
}

func (f *fanoutJob) addSources(list string) error {
	for one := range strings.SplitSeq(list, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(one))
		if err != nil {
			return err
		}
		f.sources = append(f.sources, addr)
	}
	return nil
}

func (f *fanoutJob) exec(ctx context.Context, args []string) error {
	if err := f.check(args); err != nil {
		return err
	}
	if f.part >= 0 {
		return f.takePart(ctx)
	}
	var page *os.File
	if f.page != "" {
		var err error
		if page, err = os.Create(f.page); err != nil {
			return err
		}
		defer page.Close()
	}
	n := f.fit()
	f.procs = min(f.procs, n)
	f.urlsGiven = len(f.urls)
	server := "given"
	if f.urlsGiven == 0 {
		servers, err := f.startServers()
		if err != nil {
			return err
		}
		defer servers.stop()
		server = servers.String()
	}
	crew, stop, err := f.crew(n)
	if err != nil {
		return err
	}
	defer stop()
	r, err := f.measure(ctx, crew, n)
	if err != nil {
		return err
	}
	r.Server = server
	if err := f.print(r); err != nil {
		return err
	}
	if page != nil {
		if err := errors.Join(r.writePage(page), page.Close()); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case r.ErrorsTotal > 0 || r.Sent != r.Received:
		return errReported
	}
	return nil
}

// crew returns who does the work, and a function that ends what is left of it.
func (f *fanoutJob) crew(n int) (c crew, stop func(), err error) {
	if f.procs == 1 {
		fleet, err := f.fleet(n)
		return fleet, func() {}, err
	}
	all, err := f.startProcesses(n)
	return all, all.stop, err
}

// fleet returns the connections of this process.
func (f *fanoutJob) fleet(n int) (*fleet, error) {
	targets, err := f.targets()
	if err != nil {
		return nil, err
	}
	fleet := newFleet(targets, newMessage(f.text, f.size), f.window, n)
	fleet.first = max(f.part, 0)
	fleet.rate = f.rate
	fleet.reconnect = f.reconnect
	return fleet, nil
}

// targets returns what to connect to, and from where.
func (f *fanoutJob) targets() (targets []fanout.Target, err error) {
	config, err := f.config()
	if err != nil {
		return nil, err
	}
	config.Transport = transports[f.transport]
	if f.proxy != "" {
		via, _ := url.Parse(f.proxy) // checked
		config.Proxy = websock.ProxyURL(via)
	}
	for _, url := range f.urls {
		target := fanout.Target{URL: url, Config: config}
		if len(f.sources) == 0 {
			targets = append(targets, target)
		} else {
			targets = append(targets, fanout.From(target, f.sources...)...)
		}
	}
	return targets, nil
}

// What flags may say at most.
const (
	maxWindow      = 1 << 16
	maxConnections = 1 << connectionBits
	maxProcesses   = 1 << 10
	maxRate        = 1e9 // a connection every nanosecond
)

// check refuses flags that make no sense.
func (f *fanoutJob) check(args []string) error {
	switch {
	case len(args) > 0:
		return f.misused("fanout takes no arguments, but there is %q", args[0])
	case f.n < 1 || f.n > maxConnections:
		return f.misused("-n is at least 1, and at most %d", maxConnections)
	case f.window < 1 || f.window > maxWindow:
		return f.misused("-window is 1 to %d", maxWindow)
	case f.size < 0 || f.size > engine.DefaultMessageSize:
		return f.misused("-size is 0 to %d", engine.DefaultMessageSize)
	case f.duration <= 0 || f.timeout <= 0:
		return f.misused("-duration and -timeout are above 0")
	case !(f.rate >= 0 && f.rate <= maxRate): // so that NaN is refused too
		return f.misused("-rate is 0 to %.0f", maxRate)
	case f.procs < 1 || f.procs > maxProcesses:
		return f.misused("-procs is at least 1, and at most %d", maxProcesses)
	case f.part < -1 || f.part > maxConnections:
		return f.misused("-part is -1 to %d", maxConnections)
	case f.proxy != "" && !isProxyURL(f.proxy):
		return f.misused("-proxy is no URL of an http, https, socks5 or socks5h proxy: %q", f.proxy)
	case transports[f.transport] == nil:
		return f.misused("there is no transport %q; there is: %s", f.transport, transportNames())
	}
	return f.checkURLs()
}

// checkURLs refuses URLs that can't be dialled, and flags with which no URL can be.
func (f *fanoutJob) checkURLs() error {
	urls := f.urls
	if len(urls) == 0 {
		urls = []string{"ws://localhost/"} // like those of servers of its own
	}
	for _, url := range urls {
		if err := f.checkDial(url); err != nil {
			return f.misused("%v", err)
		}
	}
	return nil
}

// fit returns how many connections the limit of open files allows, and says so if
// they are fewer than asked for.
func (f *fanoutJob) fit() int {
	each := fitFiles((f.n + f.procs - 1) / f.procs)
	n := min(f.n, each*f.procs)
	if n < f.n {
		fmt.Fprintf(f.err, "websock: %s connections were asked for; the limit of open files allows %s in each process, and so %s are opened (-procs %d would do)\n",
			grouped(f.n), grouped(each), grouped(n), (f.n+each-1)/each)
	}
	return n
}

// isProxyURL reports whether raw is the URL of a proxy.
func isProxyURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
}

// measure has the crew do its work, with n connections.
func (f *fanoutJob) measure(ctx context.Context, crew crew, n int) (*report, error) {
	r := f.report()
	sampler := sample(crew)
	defer sampler.stop()
	var err error
	begin := time.Now()
	f.during(f.dialling(crew, n), func() { err = crew.dial(ctx) })
	if err != nil {
		return nil, err
	}
	dialling := time.Since(begin)
	f.during(f.exchanging(crew), func() { err = crew.exchange(ctx, f.duration) })
	if err != nil {
		return nil, err
	}
	account, err := crew.finish(f.timeout)
	if err != nil {
		return nil, err
	}
	r.samples = sampler.stop()
	r.ended(account, dialling)
	return r, nil
}

// report returns one that says what was to be done.
func (f *fanoutJob) report() *report {
	r := &report{URLs: f.urls, Transport: f.transport, Processes: f.procs, Asked: f.n, Size: f.size, Window: f.window}
	for _, source := range f.sources {
		r.Sources = append(r.Sources, source.String())
	}
	return r
}
