package report

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
)

// An Environment says where, when and how a run was made, without secrets and the name of the machine: a
// report is shown to others.
type Environment struct {
	Started time.Time
	Version string   // of the program
	Args    []string // of the program, which may have secrets
}

// rows returns the lines of a table.
func (e *Environment) rows() (rows []row) {
	add := func(label, text string) {
		if text != "" {
			rows = append(rows, row{label, text})
		}
	}
	if !e.Started.IsZero() {
		add("started", e.Started.Format("2006-01-02 15:04:05 MST"))
	}
	add("program", strings.TrimSpace("websock "+e.Version))
	add("system", fmt.Sprintf("%s %s, %s", runtime.GOOS, process.Kernel(), runtime.GOARCH))
	add("CPUs", fmt.Sprintf("%d, of which the program uses %d", runtime.NumCPU(), runtime.GOMAXPROCS(0)))
	add("Go", runtime.Version())
	return rows
}

// commandLine returns the command line as one types it into a shell, with secrets hidden.
func (e *Environment) commandLine() string {
	words := []string{"websock"}
	for _, arg := range withoutSecrets(e.Args) {
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// hidden is shown in place of a secret.
const hidden = "…"

// withoutSecrets hides what can be secrets in arguments.
func withoutSecrets(args []string) []string {
	shown := make([]string, len(args))
	var hide func(string) string // what the next argument needs, if it is the value of a flag with secrets
	for i, arg := range args {
		if hide != nil {
			shown[i], hide = hide(arg), nil
			continue
		}
		flag, value, withValue := strings.Cut(arg, "=")
		switch ofFlag := secretFlags[strings.Replace(flag, "--", "-", 1)]; {
		case ofFlag == nil:
			shown[i] = hideInArgument(arg)
		case withValue:
			shown[i] = flag + "=" + ofFlag(value)
		default:
			shown[i], hide = arg, ofFlag
		}
	}
	return shown
}

// secretFlags has what hides secrets in the values of flags. A flag may begin with two dashes, too.
var secretFlags = map[string]func(string) string{
	"-header":      hideInHeader,
	"-subprotocol": hideLongName,
}

// openHeaders are those whose values are no secrets.
var openHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true, "Host": true, "Origin": true, "User-Agent": true,
}

// hideInHeader hides the value of a header, unless it is known to be none that is secret.
func hideInHeader(line string) string {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return hidden
	}
	if openHeaders[http.CanonicalHeaderKey(strings.TrimSpace(name))] {
		return name + ":" + hideInURLs(value)
	}
	return name + ": " + hidden
}

// hideLongName hides a subprotocol that is so long that it may carry a token.
func hideLongName(subprotocol string) string {
	const longest = 32
	if len(subprotocol) > longest {
		return hidden
	}
	return subprotocol
}

var (
	urls     = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"<>]+`)
	urlAlone = regexp.MustCompile(`^(-[^=]*=)?[A-Za-z][A-Za-z0-9+.-]*://`)
)

// hideInArgument hides secrets in an argument that may be a URL, or a flag and a URL. A URL ends where the
// argument does, whatever it has in it.
func hideInArgument(arg string) string {
	if urlAlone.MatchString(arg) {
		return hideInURL(arg)
	}
	return hideInURLs(arg)
}

// hideInURLs hides the user and the password of URLs in a text, and the values of their queries.
func hideInURLs(text string) string { return urls.ReplaceAllStringFunc(text, hideInURL) }

// hideInURL hides them in a text that is a URL from its beginning, or from a flag on, to its end.
func hideInURL(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // the last one: a password may have anything
		rest = hidden + rest[at:]
	}
	shown := scheme + "://" + rest
	if hasQuery {
		shown += "?" + hideInQuery(query)
	}
	return shown
}

// HideSecrets returns URLs as they may be shown to others: without users, passwords, and the values of
// queries.
func HideSecrets(urls []string) []string {
	shown := make([]string, len(urls))
	for i, url := range urls {
		shown[i] = hideInURL(url)
	}
	return shown
}

func hideInQuery(query string) string {
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, hasValue := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); !hasValue || err != nil || decoded == "" {
			parts = append(parts, hidden) // it may be a token alone
			continue
		}
		parts = append(parts, name+"="+hidden)
	}
	return strings.Join(parts, "&")
}

// plainWord has what no shell changes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,…-]+$`)

// quoted quotes an argument for a shell, if that is needed.
func quoted(arg string) string {
	if plainWord.MatchString(arg) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
