package report

import (
	"slices"
	"strings"
	"testing"
)

func TestSecretsInArgumentsAreHidden(t *testing.T) {
	long := strings.Repeat("x", 40)
	for _, test := range []struct{ args, want []string }{
		{[]string{"fanout", "-n", "100"}, []string{"fanout", "-n", "100"}},
		{[]string{"-header", "Authorization: Bearer s=1"}, []string{"-header", "Authorization: …"}},
		{[]string{"--header", "X-Key: s"}, []string{"--header", "X-Key: …"}},
		{[]string{"-header=Cookie: s=1"}, []string{"-header=Cookie: …"}},
		{[]string{"-header", "-header", "-header", "s: s"}, []string{"-header", "…", "-header", "s: …"}},
		{[]string{"-header", "s"}, []string{"-header", "…"}},
		{[]string{"-header", "user-agent: mine"}, []string{"-header", "user-agent: mine"}},
		{[]string{"-header", "Origin: https://u:s@a.example"}, []string{"-header", "Origin: https://…@a.example"}},
		{[]string{"-header"}, []string{"-header"}},
		{[]string{"-subprotocol", "mqtt", "-subprotocol", long}, []string{"-subprotocol", "mqtt", "-subprotocol", "…"}},
		{[]string{"-url", "wss://a.example/x?a=1&b"}, []string{"-url", "wss://a.example/x?a=…&…"}},
		{[]string{"-url=wss://u:p@a.example:8443"}, []string{"-url=wss://…@a.example:8443"}},
		{[]string{"-proxy", "socks5://u:p@[::1]:1080"}, []string{"-proxy", "socks5://…@[::1]:1080"}},
		{[]string{"-nats", "nats://token@a.example,nats://token@b.example"}, []string{"-nats", "nats://…@b.example"}},
		{[]string{"-url", "ws://u:p/a,b@a.example/x"}, []string{"-url", "ws://…@a.example/x"}},
		{[]string{"-url", "ws://a.example?token"}, []string{"-url", "ws://a.example?…"}},
		{[]string{"-url", "ws://a.example/x#s"}, []string{"-url", "ws://a.example/x"}},
		{[]string{"-url", `ws://a.example?t=s's"s<s>s s`}, []string{"-url", "ws://a.example?t=…"}},
		{[]string{"-proxy=http://u:s's\"s s@a.example"}, []string{"-proxy=http://…@a.example"}},
		{[]string{"see", "in a text: ws://a.example?t=s's or not"}, []string{"see", "in a text: ws://a.example?t=… or not"}},
	} {
		if got := withoutSecrets(test.args); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.args, got, test.want)
		}
	}
}

func TestCommandLineIsQuotedForAShell(t *testing.T) {
	e := Environment{Args: []string{"fanout", "-header", "A: b", "-url", "ws://a.example/", "-threshold", "it's<1", ""}}
	if got, want := e.commandLine(), `websock fanout -header 'A: …' -url ws://a.example/ -threshold 'it'\''s<1' ''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
