package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// A request is a call, or a notification if it has no ID.
type request struct {
	Version string `json:"jsonrpc"`
	ID      uint64 `json:"id,omitempty"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

// A message is what a server sends: a response, a notification, which has no ID, or a request of
// its own, which has a Method and an ID.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *serverError    `json:"error"`
}

// parse returns the messages in a text message: one, or those of a batch.
func parse(text []byte) ([]message, error) {
	var batch []message
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '[' {
		err := json.Unmarshal(text, &batch)
		return batch, err
	}
	var m message
	err := json.Unmarshal(text, &m)
	return []message{m}, err
}

// codeMethodNotFound is one of the codes of JSON-RPC 2.0, section 5.1. Servers have others of their own.
const codeMethodNotFound = -32601

// A serverError is the error with which a server answers a call.
type serverError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

func (e *serverError) Error() string {
	if len(e.Data) > 0 {
		return fmt.Sprintf("jsonrpc: the server answers %d, %s: %.200s", e.Code, e.Message, e.Data)
	}
	return fmt.Sprintf("jsonrpc: the server answers %d, %s", e.Code, e.Message)
}

// UnmarshalJSON also accepts an error that is no object: in version 1.0 it may be any value.
func (e *serverError) UnmarshalJSON(text []byte) error {
	type object serverError
	if text[0] == '{' {
		return json.Unmarshal(text, (*object)(e))
	}
	if json.Unmarshal(text, &e.Message) != nil {
		e.Message = string(text)
	}
	return nil
}
