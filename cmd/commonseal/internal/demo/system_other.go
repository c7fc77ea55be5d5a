//go:build !linux

package demo

import (
	"io/fs"
	"os"
	"syscall"
)

// ownGroup leaves a process in the group of this one, so that a second Ctrl-C
// at the terminal ends it too.
func ownGroup() *syscall.SysProcAttr { return nil }

// interrupt asks a process to stop, or ends it where it cannot be asked.
func interrupt(p *os.Process) error {
	if err := p.Signal(os.Interrupt); err != nil {
		return p.Kill()
	}
	return nil
}

// kill ends a process.
func kill(p *os.Process) { _ = p.Kill() } // one that has ended is no error

// killed is not known here.
func killed(*os.ProcessState) bool { return false }

// proportionalSize is not known here.
func proportionalSize(int) int64 { return 0 }

// stored is the size of a file.
func stored(info fs.FileInfo) int64 { return info.Size() }
