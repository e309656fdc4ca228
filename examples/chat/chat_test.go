package main

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// newBrowser starts Chromium and returns the context of its first tab.
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
		chromedp.WindowSize(800, 600),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	return newTab(t, allocator)
}

func newTab(t *testing.T, parent context.Context) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// run runs an action and returns its value.
func run[T any](t *testing.T, tab context.Context, what string, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(what, ": ", err)
	}
	return value
}

// holds waits until a condition of the page holds.
func holds(condition string) chromedp.Action[bool] { return chromedp.Poll[bool](condition) }

// waitForPeople waits until n people are in the room.
func waitForPeople(t *testing.T, room *chat, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		room.mu.Lock()
		people := len(room.people)
		room.mu.Unlock()
		if people == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d people are in the room, want %d", people, n)
		}
	}
}

func TestTwoBrowsersChat(t *testing.T) {
	room := newChat()
	server := httptest.NewServer(room)
	defer server.Close()
	ann := newBrowser(t)
	bob := newTab(t, ann)
	for name, tab := range map[string]context.Context{"Ann": ann, "Bob": bob} {
		run(t, tab, name+" enters", chromedp.Navigate(server.URL))
		run(t, tab, name+" is connected", holds(`document.getElementById('state').textContent == 'connected'`))
		run(t, tab, name+" has a name", chromedp.SetValue(chromedp.CSS("#name"), name))
	}
	waitForPeople(t, room, 2) // a browser may be connected before it is in the room
	run(t, ann, "Ann talks", chromedp.SendKeys(chromedp.CSS("#text"), "Hello Bob, grüß dich 🙂\r"))
	run(t, bob, "Bob hears", holds(`document.getElementById('said').textContent == 'AnnHello Bob, grüß dich 🙂'`))
	run(t, bob, "Bob answers", chromedp.SendKeys(chromedp.CSS("#text"), "Hello Ann\r"))
	run(t, ann, "Ann hears", holds(`document.querySelectorAll('li').length == 2`))
	if got := run(t, ann, "what is agreed", chromedp.Evaluate[string](`socket.protocol + ' ' + socket.extensions`)); !strings.HasPrefix(got, "chat permessage-deflate") {
		t.Errorf("the browser negotiated %q", got)
	}
	if file := os.Getenv("CHAT_SCREENSHOT"); file != "" {
		if err := os.WriteFile(file, run(t, ann, "a picture", chromedp.CaptureScreenshot()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func TestOtherOriginsAreRejected(t *testing.T) {
	server := httptest.NewServer(newChat())
	defer server.Close()
	other := httptest.NewServer(newChat()) // another port, another origin
	defer other.Close()
	tab := newBrowser(t)
	run(t, tab, "the other page", chromedp.Navigate(other.URL))
	end := run(t, tab, "an attempt", chromedp.Evaluate[string](`new Promise(resolve => {
		const socket = new WebSocket('`+"ws"+strings.TrimPrefix(server.URL, "http")+`/room')
		socket.onopen = () => resolve('open')
		socket.onclose = event => resolve('closed with ' + event.code)
	})`, awaitPromise))
	if end != "closed with 1006" {
		t.Error(end)
	}
}

// awaitPromise makes an evaluation wait for the value of a promise.
func awaitPromise(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }
