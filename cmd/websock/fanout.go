package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/live"
	"github.com/seed004e8d11/websock/cmd/websock/internal/loadgen"
	"github.com/seed004e8d11/websock/cmd/websock/internal/member"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
	"github.com/seed004e8d11/websock/cmd/websock/internal/serve"
	"github.com/seed004e8d11/websock/fanout"
)

type fanoutCommand struct {
	stdio
	dialFlags
	clusterFlags
	loadFlags
	outputFlags
	scenarioFlags
	displayFlags
	flags     *flag.FlagSet
	args      []string // the flags as given, for worker processes
	urls      []string
	childURLs []string // of the servers that it has started itself
	sources   []netip.Addr
	n         int
	size      int
	duration  time.Duration
	rate      float64
	transport string
	proxy     string
	procs     int
	part      int // number of the first connection of a worker process; -1: it is none
	streams   int // of an HTTP/2 connection; 0: the default
	reconnect bool
	tls       bool
	text      bool
	json      bool
	page      string
}

func newFanoutCommand(s stdio, args []string) *ffcli.Command {
	fs := s.flagSet("fanout")
	c := &fanoutCommand{stdio: s, flags: fs, args: args}
	c.register(fs)
	return &ffcli.Command{
		Name:       "fanout",
		ShortUsage: "websock fanout [flags]",
		ShortHelp:  "open many connections, exchange messages, measure",
		LongHelp: "Without -url it starts an echo server of its own, as a child process. With -cluster\n" +
			"it shares the connections with other processes, until it is interrupted.",
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *fanoutCommand) register(fs *flag.FlagSet) {
	c.dialFlags.register(fs)
	fs.Func("url", "`URL` of an echo server (repeatable: connections are spread over them)", func(url string) error {
		c.urls = append(c.urls, url)
		return nil
	})
	fs.IntVar(&c.n, "n", 1000, "connections; with -cluster, of all members together")
	fs.IntVar(&c.size, "size", 128, "bytes of a message")
	fs.DurationVar(&c.duration, "duration", 5*time.Second, "how long messages are sent (with -cluster, by default until an interrupt)")
	fs.Float64Var(&c.rate, "rate", 0, fmt.Sprintf("connections dialed in a second (0: unlimited; with -cluster, by all members together, 0: %d)", defaultClusterRate))
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "limit of each opening handshake, and of the wait for the last echoes")
	fs.StringVar(&c.transport, "transport", defaultTransport, "what carries the connections: "+transportNames())
	fs.StringVar(&c.proxy, "proxy", "", "`URL` of a proxy to connect through: http, https, socks5 or socks5h (default: from the environment)")
	fs.IntVar(&c.procs, "procs", 1, "processes that share the connections: the limit of open files is one for each")
	fs.Func("source", "`addresses` to connect from, in turn, separated by commas: each has ports for some 28,000 connections to a server, 14,000 of which are found quickly", c.addSources)
	fs.IntVar(&c.streams, "streams", 0, fmt.Sprintf("with -h2, WebSockets that share a connection, if the server allows as many (0: %d)", websock.DefaultStreamsPerConn))
	fs.BoolVar(&c.reconnect, "reconnect", false, "dial again, after a while, what fails or is lost")
	fs.BoolVar(&c.tls, "tls", false, "have the server of its own speak TLS (wss)")
	fs.BoolVar(&c.text, "text", false, "send text, not binary messages")
	fs.BoolVar(&c.json, "json", false, "print one JSON object, not a table")
	c.loadFlags.register(fs)
	c.displayFlags.register(fs)
	c.clusterFlags.register(fs)
	c.outputFlags.register(fs)
	c.scenarioFlags.register(fs)
	fs.StringVar(&c.page, "report", "", "`file` to write a web page with charts to")
	fs.IntVar(&c.part, "part", -1, "be one of several processes, whose first connection has this `number`: set by -procs")
}

func (c *fanoutCommand) addSources(list string) error {
	for one := range strings.SplitSeq(list, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(one))
		if err != nil {
			return err
		}
		c.sources = append(c.sources, addr)
	}
	return nil
}

const (
	maxProcesses = 1 << 10
	maxRate      = 1e9 // a connection every nanosecond
)

// check refuses invalid flags.
func (c *fanoutCommand) check(args []string) error {
	if len(args) > 0 {
		return c.usageError("fanout takes no arguments, but there is %q: -url has the server's URL", args[0])
	}
	if err := c.readScenario(); err != nil {
		return err
	}
	switch {
	case c.n < 1 || c.n > payload.MaxConnections:
		return c.usageError("-n is at least 1, and at most %d", payload.MaxConnections)
	case c.size < 0 || c.size > websock.DefaultMessageSize:
		return c.usageError("-size is 0 to %d", websock.DefaultMessageSize)
	case c.duration <= 0 || c.timeout <= 0:
		return c.usageError("-duration and -timeout must be positive")
	case !(c.rate >= 0 && c.rate <= maxRate): // also refuses NaN
		return c.usageError("-rate is 0 to %.0f", maxRate)
	case c.procs < 1 || c.procs > maxProcesses:
		return c.usageError("-procs is at least 1, and at most %d", maxProcesses)
	case c.part < -1 || c.part > payload.MaxConnections:
		return c.usageError("-part is -1 to %d", payload.MaxConnections)
	case c.streams != 0 && !c.h2:
		return c.usageError("-streams needs -h2: with HTTP/1.1 every WebSocket has a connection of its own")
	case c.streams < 0 || c.streams > maxStreams:
		return c.usageError("-streams is 0 to %d", maxStreams)
	case c.proxy != "" && !isProxyURL(c.proxy):
		return c.usageError("-proxy is no URL of an http, https, socks5 or socks5h proxy: %q", c.proxy)
	case transports[c.transport] == nil:
		return c.usageError("there is no transport %q; there is: %s", c.transport, transportNames())
	}
	if c.joins() && (c.procs > 1 || c.part >= 0) {
		return c.usageError("-cluster and -procs don't go together: start more processes with -cluster")
	}
	for _, check := range []func(given func(string) bool) error{c.clusterFlags.check, c.loadFlags.check} {
		if err := check(c.given); err != nil {
			return c.usageError("%v", err)
		}
	}
	if err := c.outputFlags.check(c.given, c.json, c.countedNames()); err != nil {
		return c.usageError("%v", err)
	}
	urls := c.urls
	if len(urls) == 0 {
		urls = []string{"ws://localhost/"} // like that of a server of its own
	}
	for _, url := range urls {
		if err := c.dialFlags.check(url); err != nil {
			return c.usageError("%v", err)
		}
		if err := c.checkRequest(url); err != nil {
			return c.usageError("%v", err)
		}
	}
	return nil
}

// given reports whether a flag was given.
func (c *fanoutCommand) given(name string) bool { return given(c.flags, name) }

func isProxyURL(raw string) bool {
	u, err := url.Parse(raw)
	cfg := websock.Config{Proxy: websock.ProxyURL(u)}
	return err == nil && cfg.Check("ws://server/") == nil
}

func (c *fanoutCommand) exec(ctx context.Context, args []string) error {
	if err := c.check(args); err != nil {
		return err
	}
	if c.part >= 0 {
		config, err := c.loadConfig(c.n)
		if err != nil {
			return err
		}
		return loadgen.RunWorker(ctx, loadgen.New(config), c.In, c.Out, c.duration, c.timeout)
	}
	var page *os.File
	if c.page != "" {
		var err error
		if page, err = os.Create(c.page); err != nil {
			return err
		}
		defer page.Close()
	}
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	untilInterrupt := !c.hasEnd()
	if untilInterrupt {
		c.duration = 0
	}
	out, err := c.outputFlags.open(c.stdio)
	if err != nil {
		return err
	}
	r, err := c.measure(ctx, out, c.newDisplay(interrupt, out))
	written := out.close()
	if written != nil {
		fmt.Fprintln(c.Err, "websock: -series:", written)
	}
	if err != nil {
		return err
	}
	succeeded, failure := r.Succeeded(), exitFailed
	if len(c.thresholds) > 0 {
		succeeded, failure = r.Judge(c.thresholds), exitThreshold
	}
	if err := c.print(r, page); err != nil {
		return err
	}
	if c.json {
		c.tellMissed(r.Thresholds)
	}
	switch {
	case ctx.Err() != nil && !untilInterrupt:
		return exitInterrupted
	case !succeeded:
		return failure
	case written != nil:
		return exitFailed
	}
	return nil
}

// measure starts servers and worker processes, if they are needed, and runs the load. It is shown by out
// and display.
func (c *fanoutCommand) measure(ctx context.Context, out *outputs, display *live.Display) (*report.Report, error) {
	n := c.fitConnections()
	c.procs = min(c.procs, n)
	server := "given"
	if len(c.urls) == 0 {
		servers, err := serve.StartChildren(display, c.procs, serve.ChildOptions{
			Transport: c.transport, Compress: c.compress, TLS: c.tls, Streams: c.streamsPerConn(),
		})
		if err != nil {
			return nil, err
		}
		defer servers.Stop()
		server, c.childURLs = servers.String(), servers.URLs
		if servers.Certificate != nil && c.ca == "" {
			c.ca = servers.Certificate.CertFile
		}
	}
	r := &report.Report{
		URLs: c.allURLs(), Server: server, Transport: c.transport, Processes: c.procs,
		Asked: c.n, Size: c.size, Window: c.window, Mode: c.mode.String(), AskedRate: c.msgRate.ofAll(n),
		StreamsAsked: c.streamsPerConn(),
		Environment:  report.Environment{Started: time.Now(), Version: version(), Args: append([]string{"fanout"}, c.args...)},
	}
	if c.joins() {
		r.AskedRate = 0 // it is that of all members together
	}
	c.describeScenario(r)
	for _, source := range c.sources {
		r.Sources = append(r.Sources, source.String())
	}
	runner, stop, err := c.runner(n, display, r)
	if err != nil {
		return nil, err
	}
	defer stop()
	c.showRun(c.stdio, out, runner.Snapshot)
	display.SetServers(report.HideSecrets(c.allURLs()))
	err = loadgen.Run(ctx, runner, loadgen.Plan{
		Duration: c.duration,
		Timeout:  c.timeout,
		Display:  display,
	}, r)
	if c.joins() && err != nil {
		err = c.tellClusterError(ctx, err)
	}
	return r, err
}

// streamsPerConn returns how many WebSockets may share a connection, and 0 for HTTP/1.1.
func (c *fanoutCommand) streamsPerConn() int {
	if c.h2 && c.streams == 0 {
		return websock.DefaultStreamsPerConn
	}
	return c.streams
}

// fitConnections returns how many connections the limit of open files allows. It prints a
// warning if they are fewer than the user asked for. With -h2 they share files, but the limit is
// raised for the case that the server doesn't offer HTTP/2. A member of a cluster may get any of the
// connections, so there the warning is all.
func (c *fanoutCommand) fitConnections() int {
	each := process.FitConnections((c.n + c.procs - 1) / c.procs)
	each *= max(c.streamsPerConn(), 1)
	n := min(c.n, each*c.procs)
	switch {
	case n == c.n:
		return n
	case c.joins():
		fmt.Fprintf(c.Err, "websock: the limit of open files allows %s connections in each process, so this one can't hold all %s of the cluster\n",
			console.Grouped(n), console.Grouped(c.n))
		return c.n
	}
	fmt.Fprintf(c.Err, "websock: %s connections were asked for; the limit of open files allows %s in each process, and so %s are opened (-procs %d would do)\n",
		console.Grouped(c.n), console.Grouped(each), console.Grouped(n), (c.n+each-1)/each)
	return n
}

// runner returns what generates the load, and a function that ends it. What worker processes and a member
// of a cluster log goes to log, and what a member says of the cluster into r.
func (c *fanoutCommand) runner(n int, log io.Writer, r *report.Report) (runner loadgen.Runner, stop func(), err error) {
	if c.procs > 1 {
		workers, err := loadgen.StartWorkers(log, c.procs, n, func(first, connections int) []string {
			return c.workerArgs(first, connections, n)
		})
		return workers, workers.Stop, err
	}
	config, err := c.loadConfig(n)
	if err != nil {
		return nil, nil, err
	}
	if c.joins() {
		r.Cluster = &report.Cluster{}
		runner, err = c.member(config, log, r.Cluster)
		return runner, func() {}, err
	}
	return loadgen.New(config), func() {}, nil
}

// workerArgs returns the arguments of a worker process, which opens some of n connections: the same flags,
// followed by those that differ, since the last one of a flag counts.
func (c *fanoutCommand) workerArgs(first, connections, n int) []string {
	args := append([]string{"fanout"}, c.args...)
	args = append(args, "-part", strconv.Itoa(first), "-parts", strconv.Itoa(n), "-n", strconv.Itoa(connections), "-ca", c.ca,
		"-rate", strconv.FormatFloat(c.rate/float64(c.procs), 'g', -1, 64))
	if c.msgRate.rate > 0 {
		each := messageRate{c.msgRate.ofEach(n), true}
		args = append(args, "-msg-rate", each.String())
	}
	for _, url := range c.childURLs {
		args = append(args, "-url", url)
	}
	return args
}

// member returns what generates the load as a member of a cluster.
func (c *fanoutCommand) member(load loadgen.Config, log io.Writer, r *report.Cluster) (loadgen.Runner, error) {
	o, err := c.clusterFlags.options(newLogger(log, c.logLevel()))
	if err != nil {
		return nil, err
	}
	o.Rate = cmp.Or(c.rate, defaultClusterRate)
	dialingAll := time.Duration(float64(load.Connections) / o.Rate * float64(time.Second))
	return member.New(load, o, c.timeout+dialingAll, r), nil
}

func (c *fanoutCommand) loadConfig(n int) (load loadgen.Config, err error) {
	config, err := c.config()
	if err != nil {
		return load, err
	}
	if config.Mux != nil {
		config.Mux.StreamsPerConn = c.streamsPerConn()
	}
	load = loadgen.Config{
		Targets:     c.targets(config),
		Mux:         config.Mux,
		Connections: n,
		First:       max(c.part, 0),
		Message:     payload.New(c.text, c.size),
		Mode:        c.mode,
		Window:      c.window,
		MessageRate: c.msgRate.ofEach(n),
		Rate:        c.rate,
		Reconnect:   c.reconnect,
	}
	c.addScenario(&load)
	return load, nil
}

// targets returns every URL, from every source address.
func (c *fanoutCommand) targets(config websock.Config) (targets []fanout.Target) {
	config.Transport = transports[c.transport]
	if c.proxy != "" {
		via, _ := url.Parse(c.proxy) // check has parsed it
		config.Proxy = websock.ProxyURL(via)
	}
	for _, url := range c.allURLs() {
		target := fanout.Target{URL: url, Config: config}
		if len(c.sources) == 0 {
			targets = append(targets, target)
		} else {
			targets = append(targets, fanout.From(target, c.sources...)...)
		}
	}
	for i := range targets {
		targets[i].Config.NetDial = c.resolve.netDial(targets[i].Config.Dialer)
	}
	return targets
}

func (c *fanoutCommand) allURLs() []string { return slices.Concat(c.urls, c.childURLs) }

// print writes the report to standard output, and to page unless it is nil.
func (c *fanoutCommand) print(r *report.Report, page *os.File) error {
	write := r.WriteTable
	if c.json {
		write = r.WriteJSON
	}
	if err := write(c.table(c.stdio)); err != nil || page == nil {
		return err
	}
	return errors.Join(r.WritePage(page), page.Close())
}
