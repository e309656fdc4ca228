//go:build linux

package loopback

import (
	"bufio"
	"fmt"
	"os"
	"testing"
)

// misbehaviourVariable is the environment variable with what a program does wrong.
const misbehaviourVariable = "WEBSOCK_BENCH_MISBEHAVIOUR"

// misbehaviours has programs that don't do what they are told.
var misbehaviours = map[string]func(lines *bufio.Scanner){
	"fails": func(*bufio.Scanner) {
		fmt.Fprintln(os.Stderr, "no route to the moon")
		os.Exit(1)
	},
	"can't compress": func(*bufio.Scanner) { os.Exit(cannotCompress) },
	"hangs": func(lines *bufio.Scanner) {
		lines.Scan()
		select {}
	},
	"babbles": func(lines *bufio.Scanner) {
		for lines.Scan() {
			fmt.Println("hello")
		}
	},
	"repeats the first line": func(lines *bufio.Scanner) {
		lines.Scan()
		fmt.Fprintln(os.Stderr, lines.Text())
		fmt.Println("opened")
		lines.Scan()
		os.Exit(1)
	},
	"opens nothing": func(lines *bufio.Scanner) {
		for _, answer := range []string{"opened", "started"} {
			lines.Scan()
			fmt.Println(answer)
		}
		lines.Scan()
	},
}

func misbehaving(how string) Contestant {
	return Contestant{Name: how, command: []string{os.Args[0]}, environment: []string{misbehaviourVariable + "=" + how}}
}

func TestMain(m *testing.M) {
	Main()
	if misbehave := misbehaviours[os.Getenv(misbehaviourVariable)]; misbehave != nil {
		misbehave(bufio.NewScanner(os.Stdin))
		os.Exit(0)
	}
	os.Exit(m.Run())
}
