// Package prom exports the counts of a fanout.Group to Prometheus. It is a module of its own, so that
// only programs that use it depend on Prometheus.
//
//	prometheus.MustRegister(prom.NewCollector(g, prometheus.Labels{"feed": "trades"}))
//
// A TargetCollector exports how each Target does.
package prom
