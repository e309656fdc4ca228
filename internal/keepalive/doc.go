// Package keepalive decides by what a connection sends and receives when its peer is to be asked
// whether it is alive, and when it is given up.
package keepalive
