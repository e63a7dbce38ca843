// Package hub is where a vehicle's frames meet those who want them. It keeps one stream per vehicle channel and kind:
// one publisher (a vehicle's connection, see package ingest), a cache that lets a late subscriber begin at once, and any
// number of subscribers (see package relayserver). The first subscriber makes it tell the vehicle to send, the last one
// gone makes it tell the vehicle to stop.
//
// A frame is encoded once, into a reference-counted buffer that the cache and every subscriber's queue share. Nothing
// that a subscriber does can make a publisher wait: a queue that is full loses frames up to the next key frame.
package hub
