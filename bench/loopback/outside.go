//go:build linux

package loopback

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/feed"
)

// outsidePrefix begins the name of a contestant in Go that is run as a program: measured from outside, as
// those in other languages are.
const outsidePrefix = "outside-"

// contestantVariable is the environment variable with the name of such a contestant.
const contestantVariable = "WEBSOCK_BENCH_CONTESTANT"

// cannotCompress is the status of a program that can't compress as demanded.
const cannotCompress = 3

// outsideContestant returns a contestant in Go as a program. Its name may be that of one in another build.
func outsideContestant(c Contestant) (Contestant, error) {
	executable, name := splitProgram(c.Name)
	if executable == "" {
		var err error
		if executable, err = os.Executable(); err != nil {
			return c, err
		}
	}
	c.command = []string{executable}
	c.environment = []string{roleVariable + "=outside", contestantVariable + "=" + name}
	return c, nil
}

// An obedient is a contestant in Go that is controlled by lines.
type obedient struct {
	contestant  client.Contestant
	url         string
	size        int
	window      int
	compression client.Compression
	tls         *tls.Config
	answers     io.Writer
	clients     []client.Client // one for each line that opens connections
	conns       int             // of all of them

	mu       sync.Mutex
	received int // messages since the last line that said so
}

// obey does what others/README.md demands of a client.
func obey(tasks io.Reader, answers io.Writer) error {
	o := &obedient{answers: answers}
	var err error
	if o.contestant, err = client.Find(os.Getenv(contestantVariable)); err != nil {
		return err
	}
	if err := o.parse(os.Args[1:]); err != nil {
		return err
	}
	if !o.contestant.Can(o.compression) {
		os.Exit(cannotCompress)
	}
	lines := bufio.NewScanner(tasks)
	for lines.Scan() {
		answer, err := o.do(lines.Text())
		if err != nil {
			return err
		}
		fmt.Fprintln(answers, answer)
		if answer == "started" {
			o.start()
		}
	}
	return lines.Err()
}

// parse takes the arguments.
func (o *obedient) parse(arguments []string) (err error) {
	if len(arguments) != 6 {
		return fmt.Errorf("%d arguments in place of 6", len(arguments))
	}
	o.url, o.compression = arguments[0], client.Compression(arguments[3])
	if o.size, err = strconv.Atoi(arguments[1]); err != nil {
		return err
	}
	if o.window, err = strconv.Atoi(arguments[2]); err != nil {
		return err
	}
	if !strings.HasPrefix(o.url, "wss:") {
		return nil
	}
	certificate, err := os.ReadFile(arguments[5])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	o.tls = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	return nil
}

func (o *obedient) do(line string) (answer string, err error) {
	verb, argument, _ := strings.Cut(line, " ")
	switch verb {
	case "open":
		n, err := strconv.Atoi(argument)
		if err != nil {
			return "", err
		}
		return "opened", o.open(n)
	case "start":
		return "started", nil
	case "settle":
		occupied()
		return "settled", nil
	}
	return "", fmt.Errorf("%q is no task", line)
}

func (o *obedient) open(n int) error {
	step := n
	if o.window > 0 {
		step = math.MaxInt // it doesn't say when it has received something
	}
	meter := client.NewMeter(step, 0, 0, 24*time.Hour)
	meter.Begin()
	work := &client.Work{
		URL:         o.url,
		TLS:         o.tls,
		Payload:     make([]byte, o.size),
		Window:      o.window,
		Compression: o.compression,
		Meter:       meter,
	}
	if o.compression != client.None {
		work.Feed = feed.File()
	}
	c, err := o.contestant.New(work)
	if err != nil {
		return err
	}
	if err := dialAll(context.Background(), c, n); err != nil {
		return err
	}
	o.clients = append(o.clients, c)
	o.mu.Lock()
	o.conns += n
	o.mu.Unlock()
	go o.watch(meter, n)
	if o.window == 0 {
		c.Start()
	}
	return nil
}

// watch ends the process if a connection fails, and says when all have received a message.
func (o *obedient) watch(meter *client.Meter, conns int) {
	for {
		select {
		case <-meter.Steps():
			o.mu.Lock()
			if o.received += conns; o.received >= o.conns {
				o.received = 0
				fmt.Fprintln(o.answers, "received")
			}
			o.mu.Unlock()
		case <-meter.Done():
			_, err := meter.Cost()
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func (o *obedient) start() {
	if o.window == 0 {
		return // since they were opened
	}
	for _, c := range o.clients {
		c.Start()
	}
}
