//go:build invariants

package ledger

import "fmt"

// balanced stops at the first block that makes or loses a credit.
func (s *state) balanced() {
	if all, supply := Credits(s), Supply(s); all != supply {
		// unreachable, unless this package has a mistake: nobody runs this build
		panic(fmt.Sprintf("ledger: %d credits of a supply of %d", all, supply))
	}
}
