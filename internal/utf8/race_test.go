//go:build race && !purego && (amd64 || arm64)

package utf8

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The race detector must report a concurrent write to any byte that is validated,
// unmasked or copied. A race ends its process, so each runs in a process of its own.
func TestRaceDetectorSeesEveryByte(t *testing.T) {
	const n = 300
	if arg := os.Getenv("UTF8_RACE"); arg != "" {
		name, index, _ := strings.Cut(arg, " ")
		i, _ := strconv.Atoi(index)
		p := make([]byte, n)
		done := make(chan bool)
		go func() {
			p[i]++
			done <- true
		}()
		var v Validator
		switch name {
		case "Write":
			v.Write(p)
		case "Unmask":
			v.Unmask(p, testKey, 0)
		case "CopyFrom":
			v.Copy(make([]byte, n), p)
		case "CopyTo":
			v.Copy(p, make([]byte, n))
		}
		<-done
		return
	}
	for _, name := range []string{"Write", "Unmask", "CopyFrom", "CopyTo"} {
		for _, i := range []int{0, 1, 31, 32, 150, n - 2, n - 1} {
			cmd := exec.Command(os.Args[0], "-test.run=^TestRaceDetectorSeesEveryByte$")
			cmd.Env = append(os.Environ(), "UTF8_RACE="+name+" "+strconv.Itoa(i))
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "DATA RACE") {
				t.Errorf("%s: a race on byte %d went unnoticed:\n%s", name, i, out)
			}
		}
	}
}
