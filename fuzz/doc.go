// Package fuzz holds the fuzz targets over the paths that handle bytes from
// peers.
package fuzz
