// Package fuzz has the fuzz targets for code that handles bytes from peers, and schedules of
// network faults drawn at random.
package fuzz
