// Package prom exports the counts of a cluster.Cluster to Prometheus. It is a module of its own, so that
// only programs that use it depend on Prometheus.
//
//	prometheus.MustRegister(prom.NewCollector(c, prometheus.Labels{"feed": "trades"}))
//
// The counts of its connections are those of the Group: see Cluster.Group and package fanout/prom.
package prom
