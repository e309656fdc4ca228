// Package compat compares compat/gorilla with github.com/gorilla/websocket: the same scenarios, in
// both roles, against a peer that is played frame by frame. What calls return and what the peer
// gets has to be the same, but for the differences that the documentation of compat/gorilla has.
package compat
