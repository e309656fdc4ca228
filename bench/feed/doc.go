// Package feed generates the messages that compression is measured with, always the same.
package feed
