package main

import "github.com/chromedp/cdproto/runtime"

// awaitPromise has an evaluation wait for the value that is promised.
func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
