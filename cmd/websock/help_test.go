package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completionFile writes the completion script for a shell to a file, and finds the shell.
func completionFile(t *testing.T, shell string) (file, program string) {
	program, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("needs the shell %s: apt-get install %[1]s", shell)
	}
	got := command(t.Context(), "", "completion", shell)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	file = filepath.Join(t.TempDir(), "websock."+shell)
	if err := os.WriteFile(file, []byte(got.out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, program
}

var completionTests = []struct {
	line string
	want []string
}{
	{"websock fan", []string{"fanout"}},
	{"websock fanout -transport ", []string{"epoll", "netpoll", "std"}},
	{"websock connect -hi", []string{"-history"}},
	{"websock serve -tls-", []string{"-tls-cert", "-tls-key"}},
	{"websock serve -h2", []string{"-h2c"}},
	{"websock listen -gr", []string{"-grace"}},
	{"websock replay -sp", []string{"-speed"}},
	{"websock fanout -str", []string{"-streams"}},
	{"websock connect -h2", []string{"-h2"}},
	{"websock connect -res", []string{"-resolve"}},
	{"websock connect -co", []string{"-commands", "-compress", "-count"}},
	{"websock completion ", shells},
	{"websock help conn", []string{"connect"}},
	{"websock cluster st", []string{"status"}},
	{"websock cluster status -j", []string{"-json"}},
	{"websock fanout -clu", []string{"-cluster"}},
	{"websock fanout -series-", []string{"-series-interval"}},
	{"websock compare -f", []string{"-fail-above", "-figures"}},
	{"websock fanout -qu", []string{"-quiet"}},
}

func TestCompletionInBash(t *testing.T) {
	file, bash := completionFile(t, "bash")
	const ask = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _websock; printf '%s\n' "${COMPREPLY[@]}"`
	for _, test := range completionTests {
		args := append([]string{"-c", ask, "bash", file}, strings.Split(test.line, " ")...)
		out, err := exec.Command(bash, args...).CombinedOutput()
		if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, %v", test.line, got, err)
		}
	}
}

func TestCompletionInFish(t *testing.T) {
	file, fish := completionFile(t, "fish")
	for _, test := range completionTests {
		out, err := exec.Command(fish, "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", file, test.line).CombinedOutput()
		var got []string
		for line := range strings.Lines(string(out)) {
			got = append(got, strings.Fields(line)[0]) // a description follows
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, %v", test.line, got, err)
		}
	}
}

func TestCompletionForZshIsWellFormed(t *testing.T) {
	file, zsh := completionFile(t, "zsh")
	if out, err := exec.Command(zsh, "-n", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s, %v", out, err)
	}
}

func TestHelp(t *testing.T) {
	got := command(t.Context(), "", "help")
	for _, text := range append(strings.Fields("fanout connect serve listen replay cluster compare completion version"), "EXIT CODE", exitCodes) {
		if got.code != 0 || got.err != "" || !strings.Contains(got.out, text) {
			t.Errorf("no %q in %+v", text, got)
		}
	}
	for line := range strings.Lines(got.out) {
		if len(line) > 101 {
			t.Errorf("too long for a terminal: %s", line)
		}
	}
	got = command(t.Context(), "", "help", "serve")
	if got.code != 0 || !strings.Contains(got.out, "-reuseport") {
		t.Errorf("%+v", got)
	}
	got = command(t.Context(), "", "help", "cluster", "status")
	if got.code != 0 || !strings.Contains(got.out, "-every") {
		t.Errorf("%+v", got)
	}
}
