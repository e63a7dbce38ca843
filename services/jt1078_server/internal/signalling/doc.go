// Package signalling tells vehicles what to do. A Commander, which is what the hub uses, takes one of two roads: the
// Gateway, this server's own JT/T 808 platform, which vehicles are connected to; or the Queue, a Redis list that an
// outside JT/T 808 server drains.
package signalling
