//go:build race && !purego && (amd64 || arm64)

package mask

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The race detector must report a concurrent write to any byte that XOR and Copy
// read or write. A race ends its process, so each runs in a process of its own.
//
// Only assembly is tested: Go code reports every byte by itself, and the detector,
// which remembers a few accesses for each word, may forget the one in question.
func TestRaceDetectorSeesEveryByte(t *testing.T) {
	const n = 300
	if arg := os.Getenv("MASK_RACE"); arg != "" {
		name, index, _ := strings.Cut(arg, " ")
		i, _ := strconv.Atoi(index)
		dst, src := make([]byte, n), make([]byte, n)
		done := make(chan bool)
		go func() {
			if name == "XOR" || name == "CopyFrom" {
				src[i]++
			} else {
				dst[i]++
			}
			done <- true
		}()
		if name == "XOR" {
			XOR(src, testKey, 0)
		} else {
			Copy(dst, src, testKey, 0)
		}
		<-done
		return
	}
	for _, name := range []string{"XOR", "CopyFrom", "CopyTo"} {
		for _, i := range []int{0, 1, 7, 8, 31, 32, 150, n - 2, n - 1} {
			cmd := exec.Command(os.Args[0], "-test.run=^TestRaceDetectorSeesEveryByte$")
			cmd.Env = append(os.Environ(), "MASK_RACE="+name+" "+strconv.Itoa(i))
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "DATA RACE") {
				t.Errorf("%s: a race on byte %d went unnoticed:\n%s", name, i, out)
			}
		}
	}
}
