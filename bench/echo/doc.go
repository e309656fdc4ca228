// Package echo has the echo servers that are compared, in the best configuration that their
// documentation describes. They echo binary messages and send
// text messages to all connections. They don't compress and, where the caller can choose, don't check UTF-8.
package echo
