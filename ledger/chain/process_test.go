package chain

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger/audit"
)

// Four validators as processes: one is killed and catches up, two are killed and
// nothing goes on until they are back, one is made to compute something else and
// leaves.
func TestFourValidators(t *testing.T) {
	if testing.Short() {
		t.Skip("processes")
	}
	specs, keys := founded(t, 4)
	v, err := audit.NewVerifier(testChain, keys)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var p [4]*process
	for i := range p {
		p[i] = start(t, specs[i])
	}
	for i := range p {
		p[i].reach(1)
	}
	t.Logf("from start to block 1 on all: %v", time.Since(began).Round(time.Millisecond))
	if got := p[0].submit("bad"); got != "6 <nil>" {
		t.Errorf("a refused transaction: %s, want code 6", got)
	}
	if got := p[0].submit("late"); got != "0 <nil>" {
		t.Errorf("one that is refused in its block: %s, want code 0", got)
	}
	latency(t, p[0], p[1])

	p[3].kill()
	b := p[0].record("while one is down")
	if _, err := audit.VerifyReceipt(b, v); err != nil {
		t.Errorf("receipt: %v", err)
	}
	p[3] = start(t, specs[3])
	same(t, p[:]...)

	p[2].kill()
	p[3].kill()
	p[0].send("submit", []byte("while two are down"))
	before := max(p[0].at(), p[1].at())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	// What was decided with them may still arrive, one block.
	if p[0].until(ctx, func() bool { return p[0].height > before+1 }) {
		t.Errorf("two of four made block %d", p[0].at())
	}
	p[2], p[3] = start(t, specs[2]), start(t, specs[3])
	p[0].expect("submitted 0 <nil>")
	p[2].receipt("while two are down")
	same(t, p[:]...)

	// A validator with another Apply takes part until what it computed shows.
	p[3].kill()
	specs[3].Mutated = true
	p[3] = start(t, specs[3])
	p[3].reach(p[0].at())
	p[0].record("differently applied")
	p[0].record("and one more")
	if got := p[3].expect("stopped"); got != ErrHalted.Error() {
		t.Errorf("the one that differs stopped with %s, want %v", got, ErrHalted)
	}
	p[0].record("without it")
	same(t, p[:3]...)
}

// latency prints how long it takes from submitting to one validator until another
// has it in a committed block.
func latency(t *testing.T, from, to *process) {
	t.Helper()
	var took []time.Duration
	for i := range int64(20) {
		began := time.Now()
		from.submit(fmt.Sprint("transaction ", i))
		to.must("the transaction in a block", func() bool { return to.leaves > i })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from submit to commit at another: median %v, largest %v of %d", took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
}

// same waits until all are as far as the first is now, and compares every root.
func same(t *testing.T, ps ...*process) {
	t.Helper()
	height := ps[0].at()
	want := ps[0].seen()
	for i, p := range ps {
		p.reach(height)
		for h, root := range p.seen() {
			if other, ok := want[h]; ok && other != root {
				t.Errorf("validator %d at block %d: root %s, the first has %s", i, h, root, other)
			}
		}
	}
}
