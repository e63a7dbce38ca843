package publish

import (
	"net"
	"syscall"
)

// quickAck has the kernel acknowledge at once what came. It holds until the connection looks interactive again, so it
// is asked for before each read.
func quickAck(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	// Without it everything works all the same, 40 ms later.
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
