// Package client has the clients that are compared, each doing the same work in the
// best configuration that its documentation offers.
//
// All of them send masked binary messages and check the length of each whole one that
// they receive; those that let the caller choose don't check UTF-8 and don't compress.
// What they are given to do is a Work; what they did a Meter tells.
package client
