package service

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen opens a TCP listener. Its error names the configuration key to change.
func Listen(key, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, ListenError(key, address, err)
	}
	return l, nil
}

// ListenError says what to do about a listener that could not be opened.
func ListenError(key, address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %s is taken; stop what listens there or set another %s: %w", key, address, key, err)
	}
	return fmt.Errorf("%s: cannot listen on %s: %w", key, address, err)
}
