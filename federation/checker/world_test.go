package checker_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/fedtest"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

const steps = 2

var nodes = []string{"north", "south"}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// rows are some that the label follows from.
func rows(company string) string {
	random := rand.New(rand.NewPCG(uint64(len(company)), uint64(company[0])))
	var b strings.Builder
	b.WriteString("x,y,label\n")
	for range 40 {
		x, y := 2*random.Float64()-1, 2*random.Float64()-1
		label := 0
		if x+y/2 > 0 {
			label = 1
		}
		fmt.Fprintf(&b, "%.3f,%.3f,%d\n", x, y, label)
	}
	return b.String()
}

var schema = table.Schema{Label: "label", Negative: 0, Positive: 1, Columns: []table.Column{{Name: "x", Min: -1, Max: 1}, {Name: "y", Min: -1, Max: 1}}}

// A trained is a world with a job that is done.
type trained struct {
	*fedtest.World
	profiles he.Profiles
	job      ledger.Digest
	tree     *tree.Tree
	state    *tree.Snapshot
}

// bring is a world where all companies have brought their rows.
func bring(tb testing.TB, profiles he.Profiles) *fedtest.World {
	tb.Helper()
	ctx := context.Background()
	w, err := fedtest.New(fedtest.Options{Profiles: profiles, Mode: ledger.Quorum, Policy: func(company string) agent.Policy {
		return agent.Policy{Tasks: map[string]agent.TaskPolicy{"churn": {
			Rows:  func(s table.Schema) (table.Table, error) { return s.Read(strings.NewReader(rows(company)), company) },
			Local: company == "cal", Validation: 0.2,
		}}}
	}})
	must(tb, err)
	must(tb, w.Until(ctx, 4000, func(v ledger.View) bool { _, ok := ledger.CurrentEpoch(v); return ok }))
	must(tb, w.Record(ctx, "peer", &ledger.OpenTask{Name: "churn", Epoch: 1, Schema: schema.Append(nil), Columns: 3, Nodes: nodes, Quorum: 2}))
	task := ledger.TaskID(w.Genesis.Chain, "churn")
	must(tb, w.Until(ctx, 4000, func(v ledger.View) bool {
		for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
			for _, c := range []string{"ann", "bob", "cal"} {
				if _, ok := ledger.ContributionOf(v, task, use, c); !ok {
					return false
				}
			}
		}
		return true
	}))
	return w
}

// train goes on from a world with a job of two steps, the last one valued, in which
// nodes record what forge says; nil: what they should.
func train(tb testing.TB, from *fedtest.World, forge func(w *fedtest.World, from string, b ledger.Body) ledger.Body) *trained {
	tb.Helper()
	return trainComparing(tb, from, 0, forge)
}

// trainComparing does so with rounds of comparing companies.
func trainComparing(tb testing.TB, from *fedtest.World, rounds uint8, forge func(w *fedtest.World, from string, b ledger.Body) ledger.Body) *trained {
	tb.Helper()
	ctx := context.Background()
	w, err := from.Branch(0, false)
	must(tb, err)
	if forge != nil {
		w.Forge = func(from string, b ledger.Body) ledger.Body { return forge(w, from, b) }
	}
	open := &ledger.OpenJob{Task: ledger.TaskID(w.Genesis.Chain, "churn"), Algorithm: ledger.Logistic, Steps: steps, LearningRate: replay.FixedRate(0.5), Valued: []uint16{2}, Rounds: rounds, Nodes: nodes, Quorum: 2}
	must(tb, w.Record(ctx, "peer", open))
	out := &trained{World: w, profiles: w.Profiles, job: ledger.JobID("peer", open)}
	must(tb, w.Until(ctx, 8000, func(v ledger.View) bool {
		j, _ := ledger.JobOf(v, out.job)
		return j.State == ledger.JobDone
	}))
	out.settle(tb)
	return out
}

// opened goes on until the values are.
func opened(tb testing.TB, w *trained) *trained {
	tb.Helper()
	must(tb, w.Until(context.Background(), 8000, func(v ledger.View) bool {
		j, _ := ledger.JobOf(v, w.job)
		m, ok := ledger.ModelOf(v, j.Model)
		return ok && len(m.Opened) > 0
	}))
	w.settle(tb)
	return w
}

// altered has both nodes alter a coefficient of step 1.
func altered(tb testing.TB, from *fedtest.World) *trained {
	tb.Helper()
	return train(tb, from, func(w *fedtest.World, from string, b ledger.Body) ledger.Body {
		if r, ok := b.(*ledger.StepRecord); ok && r.Step == 1 && slices.Contains(nodes, from) {
			forged, err := w.AlterRecord(from, r)
			must(tb, err)
			return forged
		}
		return b
	})
}

// settle puts the world's blocks into a tree, from whose last state proofs are
// made.
func (w *trained) settle(tb testing.TB) {
	tb.Helper()
	var err error
	w.tree, err = tree.Open("")
	must(tb, err)
	tb.Cleanup(func() { w.tree.Close() })
	writes, err := w.Genesis.Writes()
	must(tb, err)
	keep := func(height int64, out ledger.Outcome) {
		_, err := w.tree.Stage(height, out)
		must(tb, err)
		must(tb, w.tree.Commit())
	}
	keep(0, ledger.Outcome{Writes: writes})
	for _, b := range w.Blocks() {
		keep(b.Height, ledger.Apply(w.tree.View(), b))
	}
	w.state = w.tree.View().(*tree.Snapshot)
}

func (w *trained) node(name string) (checker.Node, error) { return w.Dial("val", name), nil }

// The world has no consensus: one key signs the root.
var notary = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func (w *trained) signed() checker.Signed {
	root := w.state.Root()
	return checker.Signed{Block: root[:], Commit: ed25519.Sign(notary, root[:])}
}

var errUnsigned = errors.New("not signed")

func readSigned(block, commit []byte) (ledger.Block, ledger.Digest, error) {
	if len(block) != sha256.Size || !ed25519.Verify(notary.Public().(ed25519.PublicKey), block, commit) {
		return ledger.Block{}, ledger.Digest{}, errUnsigned
	}
	return ledger.Block{Height: 7, Time: 70}, ledger.Digest(block), nil
}

// proof collects the fraud proof of a step.
func (w *trained) proof(tb testing.TB, step uint16) ([]byte, error) {
	tb.Helper()
	var out bytes.Buffer
	err := checker.Collect(w.state, w.signed(), w.job, step, checker.Sources(context.Background(), w.state, w.job, w.profiles, w.node), tb.TempDir(), &out)
	return out.Bytes(), err
}
