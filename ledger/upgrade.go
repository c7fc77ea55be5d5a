package ledger

import (
	"fmt"
	"math"
)

// Protocol is the version of the rules that this program applies; see [Upgrade].
const Protocol uint64 = 1

// MaxRelease is the bytes of the name of a release.
const MaxRelease = 64

// Upgrade is a company's vote that from a height on blocks are made by the next
// version of the rules. A program that does not know it stops there, and the one
// that does goes on: all validators change over at one block. Until that block a
// majority may vote for another height.
type Upgrade struct {
	Version uint64
	Height  int64  // the first block by the new rules
	Release string // of the program to install, for people
}

func (*Upgrade) kind() kind { return 40 }
func (u *Upgrade) code(c *coder) {
	c.u64(&u.Version)
	c.i64(&u.Height)
	c.text(&u.Release, MaxRelease)
}

func (u *Upgrade) apply(s *state, from sender) Result {
	in := UpgradeAt(s, s.height)
	if s.height == 0 { // who checks what is in no block yet: the last may be ahead
		in = UpgradeAt(s, math.MaxInt64)
		in.Version = min(in.Version, max(u.Version, 1)-1)
	}
	switch {
	case u.Release == "" || len(u.Release) > MaxRelease || !plain(u.Release):
		return refuse(Malformed, "the release to install is named in 1 to %d bytes of one line", MaxRelease)
	case u.Version != in.Version+1:
		return refuse(WrongState, "version %d; the next is %d", u.Version, in.Version+1)
	// The header of a block has its version from two blocks before.
	case u.Height < 1 || s.height > 0 && u.Height < s.height+2:
		return refuse(Late, "an upgrade at block %d, in block %d; validators need time to install it: choose a later one", u.Height, s.height)
	}
	if next, ok := NextUpgrade(s, s.height); ok && s.height > 0 && next.Height == s.height+1 {
		return refuse(Late, "version %d begins with the next block", next.Version)
	}
	at := key(keyVotes, Hash("upgrade", appendCoded(nil, u)))
	won, r := s.vote(at, from)
	if r.Code != OK || !won {
		return r
	}
	s.delete(at)
	s.put(key(keyUpgrade, u.Version), u)
	return Result{}
}

// UpgradeAt is the upgrade by whose rules the block of a height is made, in the
// state before it. Until the first it is version 1.
func UpgradeAt(v View, height int64) Upgrade {
	in := Upgrade{Version: 1}
	each(v, []byte(keyUpgrade), func(_ []byte, u *Upgrade) bool {
		if u.Height <= height {
			in = *u
		}
		return u.Height <= height
	})
	return in
}

// NextUpgrade is the upgrade that was voted for and whose height is above the
// given one.
func NextUpgrade(v View, height int64) (next Upgrade, ok bool) {
	each(v, []byte(keyUpgrade), func(_ []byte, u *Upgrade) bool {
		next, ok = *u, u.Height > height
		return !ok
	})
	return next, ok
}

// An OutdatedError says that this program does not know the rules of a block.
type OutdatedError struct {
	Upgrade
	Known uint64 // the last version that this program knows
}

// Error says what to install.
func (e *OutdatedError) Error() string {
	return fmt.Sprintf("from block %d on the ledger is of version %d, and this program knows %d; install %s and start again: nothing is lost",
		e.Height, e.Version, e.Known, e.Release)
}

// Supported is an [OutdatedError] if a program that knows a version cannot apply
// the block of a height to the state before it.
func Supported(v View, height int64, known uint64) error {
	if in := UpgradeAt(v, height); in.Version > known {
		return &OutdatedError{Upgrade: in, Known: known}
	}
	return nil
}
