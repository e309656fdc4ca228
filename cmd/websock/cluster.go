package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// natsFlags are the flags of all commands that need the NATS of a cluster.
type natsFlags struct {
	url   string
	creds string
	dir   string
}

// register registers the flags. Their texts begin with when they count.
func (n *natsFlags) register(fs *flag.FlagSet, when string) {
	fs.StringVar(&n.url, "nats", "", when+"`URL` of the NATS servers of the cluster, with JetStream (default: one that runs in a member on this machine)")
	fs.StringVar(&n.creds, "creds", "", when+"`file` with the NATS credentials of a user")
	fs.StringVar(&n.dir, "dir", "", when+"`directory` where the NATS server of the members on this machine keeps its data (default: one for the cluster in your cache directory)")
}

// check returns what is wrong with the flags.
func (n *natsFlags) check() error {
	switch {
	case n.url != "" && n.dir != "":
		return errors.New("-dir is for a NATS server in the members, -nats for others")
	case n.url == "" && n.creds != "":
		return errors.New("-creds needs -nats: a server in the members has no users")
	}
	return nil
}

func (n *natsFlags) options(name string) cluster.Options {
	return cluster.Options{Name: name, URL: n.url, Credentials: n.creds, Dir: n.dir}
}

// clusterFlags are the flags of fanout as a member of a cluster.
type clusterFlags struct {
	natsFlags
	name       clusterName
	lease      time.Duration
	weight     float64
	peers      []string
	peerListen string
	secretFile string
}

const (
	defaultCluster     = "websock"
	defaultClusterRate = 1000 // connections dialed in a second, by all members
	maxWeight          = 1e6
)

func (c *clusterFlags) register(fs *flag.FlagSet) {
	fs.Var(&c.name, "cluster", "share the connections with the other processes that have this flag and the same -n and -rate; they take over from one that ends. -cluster=NAME: only with those of this name")
	c.natsFlags.register(fs, "with -cluster, ")
	fs.DurationVar(&c.lease, "lease", 10*time.Second, "with -cluster, the silence after which the others take over from a member")
	fs.Float64Var(&c.weight, "weight", 1, "with -cluster, the share of this process, beside that of the others")
	fs.Func("peers", "with -cluster, `addresses` at which the NATS servers of all members reach each other, separated by commas: every member runs one", func(list string) error {
		for one := range strings.SplitSeq(list, ",") {
			addr := strings.TrimSpace(one)
			if _, _, err := net.SplitHostPort(addr); err != nil {
				return err
			}
			c.peers = append(c.peers, addr)
		}
		return nil
	})
	fs.StringVar(&c.peerListen, "peer-listen", "", "with -peers, the `address` at which the server of this process listens for those of the others")
	fs.StringVar(&c.secretFile, "peer-secret", "", "with -peers, `file` with a secret that they share: they need one unless they are all on this machine")
}

// joins reports whether the process is to be a member.
func (c *clusterFlags) joins() bool { return c.name != "" }

// onlyInCluster are the flags that need -cluster.
var onlyInCluster = []string{"nats", "creds", "dir", "lease", "weight", "peers", "peer-listen", "peer-secret"}

// check returns what is wrong with the flags. set reports whether a flag was given.
func (c *clusterFlags) check(set func(name string) bool) error {
	if !c.joins() {
		for _, name := range onlyInCluster {
			if set(name) {
				return fmt.Errorf("-%s needs -cluster", name)
			}
		}
		return nil
	}
	switch {
	case c.lease <= 0: // 0 would be the default
		return errors.New("-lease must be positive")
	case !(c.weight > 0 && c.weight <= maxWeight): // also refuses NaN
		return fmt.Errorf("-weight is more than 0, and at most %.0f", maxWeight)
	case (len(c.peers) == 0) != (c.peerListen == ""):
		return errors.New("-peers and -peer-listen go together")
	case len(c.peers) == 0 && c.secretFile != "":
		return errors.New("-peer-secret needs -peers")
	case len(c.peers) > 0 && c.url != "":
		return errors.New("-peers is for NATS servers in the members, -nats for others")
	}
	return c.natsFlags.check()
}

func (c *clusterFlags) options(logger *slog.Logger) (cluster.Options, error) {
	o := c.natsFlags.options(string(c.name))
	o.Lease, o.Weight, o.Logger = c.lease, c.weight, logger
	if len(c.peers) == 0 {
		return o, nil
	}
	o.Peers, o.ClusterListen = c.peers, c.peerListen
	o.Listen = "127.0.0.1:0" // for cluster status
	if c.secretFile != "" {
		secret, err := os.ReadFile(c.secretFile)
		if err != nil {
			return o, err
		}
		o.Secret = strings.TrimSpace(string(secret))
	}
	return o, nil
}

// newLogger returns a logger whose records are for people who look at a terminal, from a level on.
func newLogger(w io.Writer, least slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: least,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
				return slog.String(slog.TimeKey, a.Value.Time().Format(time.TimeOnly))
			}
			return a
		},
	}))
}

// A clusterName is the value of -cluster: a flag that is given without a value, or with a name.
type clusterName string

func (n *clusterName) String() string { return string(*n) }

// IsBoolFlag has the flag package accept -cluster without a value.
func (*clusterName) IsBoolFlag() bool { return true }

func (n *clusterName) Set(value string) error {
	on, err := strconv.ParseBool(value)
	switch {
	case err != nil:
		return n.setName(value)
	case on:
		*n = defaultCluster
	default:
		*n = ""
	}
	return nil
}

func (n *clusterName) setName(name string) error {
	if !isClusterName(name) {
		return errClusterName
	}
	*n = clusterName(name)
	return nil
}

var errClusterName = errors.New("the name of a cluster is made of letters, digits, '-' and '_'")

func isClusterName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) < 0
}

func newClusterCommand(s stdio) *ffcli.Command {
	return &ffcli.Command{
		Name:       "cluster",
		ShortUsage: "websock cluster <command> [flags]",
		ShortHelp:  "look at the processes that share connections",
		LongHelp:   "websock fanout -cluster makes a process a member of a cluster.",
		FlagSet:    s.flagSet("cluster"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return s.usageError("there is no command cluster %q", args[0])
			}
			return errNoCommand
		},
		Subcommands: []*ffcli.Command{newClusterStatusCommand(s)},
	}
}

type clusterStatusCommand struct {
	stdio
	natsFlags
	every   time.Duration
	timeout time.Duration
	json    bool
}

func newClusterStatusCommand(s stdio) *ffcli.Command {
	c := &clusterStatusCommand{stdio: s}
	fs := s.flagSet("status")
	c.register(fs)
	return &ffcli.Command{
		Name:       "status",
		ShortUsage: "websock cluster status [flags] [name]",
		ShortHelp:  "print the members of a cluster, and who holds what",
		LongHelp: "The name is that which fanout -cluster=NAME was given (default: " + defaultCluster + "). For each member it\n" +
			"prints the partitions of the keys that it holds and wants to take over, its keys and\n" +
			"how many of them are connected, the connections that it may dial in a second, those that\n" +
			"it has opened, the partitions that came from another member, and the sessions that it\n" +
			"lost. What a member tells of itself may be as old as a fifth of the lease; what one told\n" +
			"that has just died stays for as long as the lease.",
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *clusterStatusCommand) register(fs *flag.FlagSet) {
	c.natsFlags.register(fs, "")
	fs.BoolVar(&c.json, "json", false, "print a JSON object, not a table")
	fs.DurationVar(&c.every, "every", 0, "print it again at this interval, until an interrupt (0: print it once)")
	fs.DurationVar(&c.timeout, "timeout", 5*time.Second, "limit of each reading")
}

func (c *clusterStatusCommand) exec(ctx context.Context, args []string) error {
	name := defaultCluster
	switch {
	case len(args) > 1:
		return c.usageError("cluster status takes one name, but there is %q", args[1])
	case len(args) == 1 && !isClusterName(args[0]):
		return c.usageError("%v, not %q", errClusterName, args[0])
	case len(args) == 1:
		name = args[0]
	}
	if c.every < 0 || c.timeout <= 0 {
		return c.usageError("-every must not be negative, and -timeout must be positive")
	}
	if err := c.natsFlags.check(); err != nil {
		return c.usageError("%v", err)
	}
	if err := c.print(ctx, name); err != nil || c.every == 0 {
		return err
	}
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // that is how it ends
		case <-tick.C:
		}
		if !c.json {
			fmt.Fprintln(c.Out)
		}
		c.print(ctx, name) // it tells an error, and next time there may be none
	}
}

// print reads the status of a cluster and prints it. It tells an error, and returns the exit code.
func (c *clusterStatusCommand) print(ctx context.Context, name string) error {
	reading, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, err := cluster.ReadStatus(reading, c.options(name))
	switch {
	case errors.Is(err, cluster.ErrNoCluster):
		fmt.Fprintf(c.Err, "websock: there is no cluster %q %s", name, c.where())
		if name == defaultCluster {
			fmt.Fprint(c.Err, ": cluster status NAME asks for another one")
		}
		fmt.Fprintln(c.Err)
		return exitUnreachable
	case err != nil:
		return c.tellClusterError(ctx, err)
	}
	if c.json {
		return json.NewEncoder(c.Out).Encode(status)
	}
	return report.WriteClusterStatus(c.Out, &status)
}

// where says which NATS was asked.
func (c *clusterStatusCommand) where() string {
	switch {
	case c.url != "":
		return "at " + c.url
	case c.dir != "":
		return "whose NATS server runs in " + c.dir
	}
	return "that runs on this machine"
}

// tellClusterError tells why a cluster can't be reached or joined, and returns the exit code. The end of
// ctx is an interrupt.
func (s stdio) tellClusterError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exitInterrupted
	}
	var option *cluster.OptionError
	if errors.As(err, &option) && optionFlags[option.Option] != "" {
		return s.usageError("-%s %s", optionFlags[option.Option], option.Reason)
	}
	fmt.Fprintln(s.Err, "websock:", console.ErrorText(err))
	var network *net.OpError
	if errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) {
		return exitUnreachable
	}
	return exitFailed
}

// optionFlags are the flags that set options of a cluster.
var optionFlags = map[string]string{"Name": "cluster", "Lease": "lease", "Dir": "dir"}
