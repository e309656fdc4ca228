// Package prom gives the counts of a fanout.Group to Prometheus. It is a module of its own, so
// that who doesn't want it inherits nothing.
//
//	prometheus.MustRegister(prom.NewCollector(g, prometheus.Labels{"feed": "trades"}))
package prom
