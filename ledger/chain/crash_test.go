package chain

import (
	"fmt"
	"testing"
)

// A validator is killed around Apply, and at each of CometBFT's own failure
// points (before and after it stores the block, finalizes it, stores the results,
// commits, stores its state). It recovers alone, with the transaction recorded
// once and the root another machine has.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("processes")
	}
	for _, kill := range []string{"before", "after"} {
		t.Run(kill+" Apply", func(t *testing.T) { crash(t, kill, "") })
	}
	for i := range 11 { // of one block, votes included
		t.Run(fmt.Sprint("failure point ", i), func(t *testing.T) { crash(t, "", fmt.Sprint(i)) })
	}
}

func crash(t *testing.T, kill, point string) {
	specs, _ := founded(t, 1)
	spec := specs[0]
	spec.Kill = kill
	p := start(t, spec)
	p.reach(1)
	p.record("first")
	if point != "" {
		fmt.Fprintf(p.in, "fail %s\n", point)
		p.expect("failing")
	}
	// An empty block may have met the failure point already, so nobody may read this.
	fmt.Fprintf(p.in, "submit %x\n", "fatal")
	p.exited()

	spec.Kill = ""
	p = start(t, spec)
	p.reach(0)
	if got := p.submit("fatal"); got != "0 <nil>" && got != "7 <nil>" {
		t.Errorf("submitted again: %s", got)
	}
	p.receipt("fatal")
	p.record("last")
	if got := p.replay(); got != "3 <nil>" {
		t.Errorf("replayed: leaves %s, want 3 <nil>", got)
	}
}
