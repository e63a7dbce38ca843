// Package relayv1 is the relay: the contract on port 9511 (relay.proto) with its generated code, and a codec of our own beside
// it, which encodes a frame once for all its subscribers and parses it where it lies.
package relayv1

import (
	"google.golang.org/grpc/encoding"
	stockproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// GRPCCodec is the gRPC codec of both ends of the relay. It bears the stock codec's name, "proto", and writes and reads
// the same bytes, so either end may as well be a stock gRPC client or server. What it spares is copies:
//
//   - Sending a mem.Buffer or a mem.BufferSlice sends those bytes as they are: an Event that AppendFrameEvent wrote
//     once serves every subscriber. The codec takes references of its own; the caller keeps, and frees, the caller's.
//   - Receiving into a *Received copies the message once, out of the transport's buffers, and parses it in place.
//
// Every other message goes through the stock codec.
//
// Use it with grpc.ForceServerCodecV2 and grpc.ForceCodecV2; it is not registered globally.
type GRPCCodec struct{}

var stock = encoding.GetCodecV2(stockproto.Name)

// Name is the stock codec's.
func (GRPCCodec) Name() string { return stockproto.Name }

// Marshal returns references to v's buffers, or what the stock codec makes of v.
func (GRPCCodec) Marshal(v any) (mem.BufferSlice, error) {
	switch v := v.(type) {
	case mem.Buffer:
		v.Ref()
		return mem.BufferSlice{v}, nil
	case mem.BufferSlice:
		v.Ref()
		return v, nil
	}
	return stock.Marshal(v)
}

// Unmarshal copies data into memory of v's own and parses it, or has the stock codec do so.
func (GRPCCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if r, ok := v.(*Received); ok {
		// Memory of its own, not the transport's pool: consumers keep frames for as long as they like.
		return r.Unmarshal(data.Materialize())
	}
	return stock.Unmarshal(data, v)
}
