// Package suite builds the three services and runs them as processes of this machine, for the demonstration, the
// end-to-end tests and the benchmarks: on addresses of choice, logs in files, ready when their admin listener says so.
package suite
