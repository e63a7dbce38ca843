// Package service is what the three services have in common as processes: flags, configuration, logs, the admin
// listener with health, readiness and metrics, signals and the exit code. A service's main.go fills in a Spec and
// calls Main.
package service
