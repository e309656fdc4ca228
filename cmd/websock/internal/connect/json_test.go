package connect

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestJSONCannotControlATerminal(t *testing.T) {
	const text = "a\x1b[2J\x7f\u009b31m \u202e\u2028 \U000e0001 \t\"\\ grüße 🙂"
	var out bytes.Buffer
	d := newJSONDisplay(&out, false)
	if err := d.message(websock.OpText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	shown := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if want := `"text":"a\u001b[2J\u007f\u009b31m \u202e\u2028 \udb40\udc01 \t\"\\ grüße 🙂"}`; !bytes.HasSuffix(shown, []byte(want)) {
		t.Errorf("%s, want %s", shown, want)
	}
	var e event
	if err := json.Unmarshal(shown, &e); err != nil || e.Text == nil || *e.Text != text {
		t.Errorf("%s, %v", shown, err)
	}
}
