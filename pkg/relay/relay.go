// Package relay is the consumer's side of the relay (proto/relay/v1, port 9511): one upstream per stream, which
// reconnects by itself and finds the node that has the stream.
package relay
