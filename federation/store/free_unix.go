//go:build linux || darwin || freebsd

package store

import "syscall"

// freeBytes is what is free on the disk of dir to a process that is not root.
func freeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
