package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed004e8d11/websock/fanout"
)

// A batchCall is one of several calls that are sent in one message. result is a pointer or nil; err is
// set when the batch has ended.
type batchCall struct {
	method string
	params any
	result any
	err    error
}

// batch makes several calls with one request. The server may execute them in any order. The error is
// that of the batch as a whole; each call has an error of its own, which is errLost or that of ctx
// for those that have no response by then.
func (c *client) batch(ctx context.Context, calls ...*batchCall) error {
	if len(calls) == 0 || len(calls) > maxBatch {
		return fmt.Errorf("jsonrpc: a batch of %d calls instead of 1 to %d", len(calls), maxBatch)
	}
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.leave()
	for {
		err := c.tryBatch(ctx, calls)
		if !errors.Is(err, fanout.ErrDown) {
			return err
		}
		if err := c.waitUp(ctx); err != nil {
			return err
		}
	}
}

func (c *client) tryBatch(ctx context.Context, calls []*batchCall) error {
	requests := make([]request, len(calls))
	answers := make([]<-chan answer, len(calls))
	for i, call := range calls {
		id, answered := c.begin(nil)
		defer c.forget(id)
		requests[i] = request{Version: "2.0", ID: id, Method: call.method, Params: call.params}
		answers[i] = answered
	}
	if err := c.send(requests); err != nil {
		return err
	}
	for i, call := range calls {
		call.err = wait(ctx, answers[i], call.result)
	}
	return nil
}
