// Package differential has a fuzz target that compares how this module, gobwas/ws and
// gorilla/websocket decode the same bytes. Known differences are listed with the section of RFC 6455
// that decides them.
package differential
