package serve

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
)

// Children are echo servers in processes of their own, so that their CPU time and memory are
// not the client's, and so that each has its own limit of open files.
type Children struct {
	URLs        []string
	Certificate *Certificate // nil without TLS
	children    []*process.Child
}

// ChildOptions are the settings of Children.
type ChildOptions struct {
	Transport string
	Compress  bool
	TLS       bool
	Streams   int // of an HTTP/2 connection; 0: clients use HTTP/1.1
}

// flags returns the arguments of a server.
func (o *ChildOptions) flags() []string {
	flags := []string{"serve", "-addr", "127.0.0.1:0", "-stdin", "-transport", o.Transport, "-compress=" + strconv.FormatBool(o.Compress)}
	if o.Streams > 0 {
		flags = append(flags, "-streams", strconv.Itoa(o.Streams), "-h2c="+strconv.FormatBool(!o.TLS))
	}
	return flags
}

// StartChildren starts n servers. Stop must be called on them.
func StartChildren(stderr io.Writer, n int, o ChildOptions) (*Children, error) {
	c := &Children{}
	flags := o.flags()
	if o.TLS {
		var err error
		if c.Certificate, err = NewCertificate(""); err != nil {
			return nil, err
		}
		flags = append(flags, "-tls-cert", c.Certificate.CertFile, "-tls-key", c.Certificate.KeyFile)
	}
	for range n {
		if err := c.start(stderr, flags); err != nil {
			c.Stop()
			return nil, err
		}
	}
	return c, nil
}

// start starts one server and reads its URL.
func (c *Children) start(stderr io.Writer, flags []string) error {
	child, err := process.StartChild(stderr, flags...)
	if err != nil {
		return err
	}
	c.children = append(c.children, child)
	line, err := bufio.NewReader(child.Stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the echo server did not start: %w", err)
	}
	c.URLs = append(c.URLs, strings.TrimSpace(line))
	return nil
}

// String describes the servers in a report.
func (c *Children) String() string {
	if len(c.children) == 1 {
		return "child process"
	}
	return fmt.Sprint(len(c.children), " child processes")
}

// Stop stops the servers and removes their certificate.
func (c *Children) Stop() {
	for _, child := range c.children {
		child.Stop()
	}
	if c.Certificate != nil {
		c.Certificate.Remove()
	}
}
