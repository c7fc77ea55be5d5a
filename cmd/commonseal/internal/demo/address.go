package demo

import (
	"errors"
	"fmt"
	"net"
)

// freeAddresses are n different addresses on loopback that nobody listens on
// now. Another program may take one before it is used; see [crew.start].
func freeAddresses(n int) (out []string, err error) {
	var held []net.Listener
	for range n { // all at once, or the system might give one twice
		l, e := net.Listen("tcp", "127.0.0.1:0")
		if e != nil {
			err = fmt.Errorf("a free port on loopback: %w", e)
			break
		}
		held = append(held, l)
		out = append(out, l.Addr().String())
	}
	for _, l := range held {
		err = errors.Join(err, l.Close())
	}
	return out, err
}
