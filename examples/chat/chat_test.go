package main

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// newBrowser starts Chromium.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs a browser: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.NoSandbox, // which root can't have
		chromedp.WindowSize(800, 600),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestTwoPeopleTalkInABrowser(t *testing.T) {
	server := httptest.NewServer(newChat())
	defer server.Close()
	ann := newBrowser(t)
	bob, cancel := chromedp.NewContext(ann) // another tab
	defer cancel()
	bounded := func(ctx context.Context, what string, actions ...chromedp.Action) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(what, err)
		}
	}
	if err := chromedp.Run(bob); err != nil { // the first Run must not be bounded: it would close the tab
		t.Fatal(err)
	}
	connected := chromedp.Poll(`document.getElementById('state').textContent == 'connected'`, nil)
	for name, ctx := range map[string]context.Context{"Ann": ann, "Bob": bob} {
		bounded(ctx, name+" enters: ", chromedp.Navigate(server.URL), connected, chromedp.SetValue("#name", name))
	}
	bounded(ann, "Ann talks: ", chromedp.SendKeys("#text", "Hello Bob, grüß dich 🙂\n"))
	bounded(bob, "Bob hears: ", chromedp.Poll(`document.getElementById('said').textContent == 'AnnHello Bob, grüß dich 🙂'`, nil),
		chromedp.SendKeys("#text", "Hello Ann\n"))
	var extensions string
	bounded(ann, "Ann hears: ", chromedp.Poll(`document.querySelectorAll('li').length == 2`, nil),
		chromedp.Evaluate(`socket.extensions + ' ' + socket.protocol`, &extensions))
	if want := "permessage-deflate"; len(extensions) < len(want) || extensions[:len(want)] != want {
		t.Errorf("the browser uses %q", extensions)
	}
	if file := os.Getenv("CHAT_SCREENSHOT"); file != "" {
		var image []byte
		bounded(ann, "a picture: ", chromedp.CaptureScreenshot(&image))
		if err := os.WriteFile(filepath.Clean(file), image, 0o644); err != nil {
			t.Error(err)
		}
	}
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	server := httptest.NewServer(newChat())
	defer server.Close()
	other := httptest.NewServer(nil) // another port, another origin
	defer other.Close()
	ctx, cancel := context.WithTimeout(newBrowser(t), time.Minute)
	defer cancel()
	var end string
	err := chromedp.Run(ctx, chromedp.Navigate(other.URL), chromedp.Evaluate(`new Promise(resolve => {
		const socket = new WebSocket('ws'+'`+server.URL[4:]+`/room')
		socket.onopen = () => resolve('open')
		socket.onclose = event => resolve('closed '+event.code)
	})`, &end, awaitPromise))
	if err != nil || end != "closed 1006" {
		t.Errorf("%q, %v", end, err)
	}
}
