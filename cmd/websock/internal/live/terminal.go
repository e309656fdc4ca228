package live

import (
	"os"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/color"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A terminal is a screen of its own on a terminal, until close.
type terminal struct{ screen tcell.Screen }

// theme has colours that every terminal has in a variant that is legible on its background.
var theme = [styles]tcell.Style{
	plain:    tcell.StyleDefault,
	strong:   tcell.StyleDefault.Bold(true),
	label:    tcell.StyleDefault.Dim(true),
	good:     tcell.StyleDefault.Foreground(color.XTerm2),
	busy:     tcell.StyleDefault.Foreground(color.XTerm3),
	waiting:  tcell.StyleDefault.Foreground(color.XTerm4),
	bad:      tcell.StyleDefault.Foreground(color.XTerm1),
	sent:     tcell.StyleDefault.Foreground(color.XTerm4),
	received: tcell.StyleDefault.Foreground(color.XTerm6),
	median:   tcell.StyleDefault.Foreground(color.XTerm2),
	tail:     tcell.StyleDefault.Foreground(color.XTerm5),
}

// plainChars are what is shown where the locale has no other characters than ASCII.
var plainChars = map[rune]string{
	'▁': "_", '▂': "_", '▃': "-", '▄': "-", '▅': "=", '▆': "=", '▇': "#", '█': "#",
	'■': "#", '▓': "+", '▒': "-", '░': "x", '·': ".", '━': "=", '╸': "-", '─': "-", '…': "~", 'µ': "u",
}

// canShow reports whether there can be a screen on out.
func canShow(out any) bool {
	file, ok := out.(*os.File)
	return ok && console.IsTerminal(out) && os.Getenv("TERM") != "dumb" && inForeground(file)
}

// openTerminal begins a screen on out, for which canShow holds.
func openTerminal(out *os.File) (*terminal, error) {
	tty, err := openTTY(out)
	if err != nil {
		return nil, err
	}
	// A terminal is asked for nothing, so that it can't answer when the program has ended.
	screen, err := tcell.NewTerminfoScreenFromTty(tty, tcell.OptNegotiation(false))
	if err != nil {
		return nil, err
	}
	if err := screen.Init(); err != nil {
		return nil, err
	}
	for char, instead := range plainChars {
		screen.RegisterRuneFallback(char, instead)
	}
	return &terminal{screen}, nil
}

func (t *terminal) size() (width, height int) { return t.screen.Size() }

// show shows a canvas. It writes what has changed.
func (t *terminal) show(c *canvas) {
	for y := range c.height {
		for x, cell := range c.line(y) {
			if cell.text != "" {
				t.screen.Put(x, y, cell.text, theme[cell.style])
			}
		}
	}
	t.screen.Show()
}

// close restores the terminal. It may be called by any goroutine, and more than once.
func (t *terminal) close() { t.screen.Fini() }

func (t *terminal) events() <-chan tcell.Event { return t.screen.EventQ() }

// isInterrupt reports whether a person interrupts the run. Control-C sends no signal while there is a
// screen.
func isInterrupt(event tcell.Event) bool {
	key, ok := event.(*tcell.EventKey)
	return ok && (key.Key() == tcell.KeyCtrlC || key.Key() == tcell.KeyRune && (key.Str() == "q" || key.Str() == "Q"))
}
