//go:build unix

package audit

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// BenchmarkChain re-executes a chain on one core: blocks of 600 transactions of
// about 260 bytes, admissions of queriers, which write four keys each, and four
// validators. Every signature is verified, of transactions and of validators, every
// root and hash of results is compared.
//
// parts=all is what audit chain does. The rest are shares of it: parts=signatures
// verifies those of transactions alone, parts=tree computes the roots of outcomes that
// are there already, and parts=disk does so in the tree that validators keep on
// Badger, here in memory, and commits. tx/cpu-s counts the processor's time alone: on a
// machine that others use too it is what a core of one's own would do.
func BenchmarkChain(b *testing.B) {
	const blocks, each = 20, 600
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f := newFabric(b, consortium(4)).task()
	var outcomes []ledger.Outcome
	f.apply = func(v ledger.View, b ledger.Block) ledger.Outcome {
		outcomes = append(outcomes, ledger.Apply(v, b))
		return outcomes[len(outcomes)-1]
	}
	first := f.height()
	for range blocks {
		f.admit(each)
	}
	var txs []ledger.Tx
	size := 0
	for _, o := range outcomes {
		for _, leaf := range o.Leaves {
			t, err := ledger.ParseTx(leaf)
			if err != nil {
				b.Fatal(err)
			}
			txs, size = append(txs, t), size+len(leaf)
		}
	}
	before, err := replay(f.genesis, f.blocks[:first])
	if err != nil {
		b.Fatal(err)
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"all", func() error {
			r := before.fork()
			for _, block := range f.blocks[first:] {
				if err := r.Block(block.block, block.commit); err != nil {
					return err
				}
			}
			return nil
		}},
		{"signatures", func() error {
			for i := range txs {
				if !txs[i].Verify() {
					return ErrUnsigned
				}
			}
			return nil
		}},
		{"tree", func() error { return stageAll(new(tree.Memory), outcomes) }},
		{"disk", func() error {
			t, err := tree.Open("")
			if err != nil {
				return err
			}
			return errors.Join(stageAll(t, outcomes), t.Close())
		}},
	} {
		b.Run("parts="+part.name, func(b *testing.B) {
			began := processorTime(b)
			for b.Loop() {
				if err := part.run(); err != nil {
					b.Fatal(err)
				}
			}
			used := processorTime(b) - began
			b.ReportMetric(float64(len(txs)*b.N)/used.Seconds(), "tx/cpu-s")
			b.ReportMetric(float64(len(txs)*b.N)/b.Elapsed().Seconds(), "tx/s")
			b.ReportMetric(float64(size)/float64(len(txs)), "B/tx")
		})
	}
}

// stageAll stores outcomes, one after another.
func stageAll(t interface {
	Stage(int64, ledger.Outcome) (ledger.Digest, error)
	Commit() error
}, outcomes []ledger.Outcome) error {
	for i, o := range outcomes {
		if _, err := t.Stage(int64(i), o); err != nil {
			return err
		}
		if err := t.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// processorTime is what this process has used.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
