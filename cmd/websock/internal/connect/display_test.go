package connect

import (
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestTerminalShowsTheBeginningOfALongMessage(t *testing.T) {
	long := []byte(strings.Repeat("a", maxDisplayed) + "the rest")
	for op, least := range map[websock.Opcode]int{websock.OpText: maxDisplayed, websock.OpBinary: 4 * maxDisplayed} {
		shown := string(forTerminal(op, long))
		if !strings.HasSuffix(shown, "\n... and 8 bytes more") || strings.Contains(shown, "rest") || len(shown) < least {
			t.Errorf("%v: %d bytes, ending in %q", op, len(shown), shown[max(0, len(shown)-40):])
		}
		if shown := string(forTerminal(op, long[:100])); strings.Contains(shown, "more") {
			t.Errorf("%v: %q", op, shown)
		}
	}
}
