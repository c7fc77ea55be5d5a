package tree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// BenchmarkTransfers stages and commits blocks of 300 transfers among 10^5
// accounts: two records of 100 bytes, a leaf of 300, and of the set of what was
// seen a key that is added and, some blocks later, one that is dropped; with that
// set or without it.
func BenchmarkTransfers(b *testing.B) {
	const accounts, txs, life = 100_000, 300, 50
	for _, seen := range []bool{true, false} {
		b.Run(fmt.Sprintf("seen=%v", seen), func(b *testing.B) {
			tree, rng := open(b, b.TempDir()), rand.New(rand.NewPCG(1, 2))
			account := func(n int) []byte { return fmt.Appendf(nil, "account/%08d", n) }
			for n := 0; n < accounts; n += 5000 {
				var out ledger.Outcome
				for i := range 5000 {
					out.Writes = append(out.Writes, ledger.Write{Key: account(n + i), Value: make([]byte, 100)})
				}
				put(b, tree, out)
			}
			var live [][]byte
			block := func() (out ledger.Outcome) {
				for _, n := range rng.Perm(accounts)[:2*txs] {
					out.Writes = append(out.Writes, ledger.Write{Key: account(n), Value: random(rng, 100)})
				}
				for range txs {
					out.Leaves = append(out.Leaves, random(rng, 300))
				}
				if seen {
					var fresh [][]byte
					for range txs {
						fresh = append(fresh, append(binary.BigEndian.AppendUint64([]byte("seen/"), uint64(tree.Height())), random(rng, 32)...))
					}
					slices.SortFunc(fresh, bytes.Compare)
					for _, key := range fresh {
						out.Writes = append(out.Writes, ledger.Write{Key: key, Value: []byte{1}})
					}
					for live = append(live, fresh...); len(live) > life*txs; live = live[1:] {
						out.Writes = append(out.Writes, ledger.Write{Key: live[0]})
					}
				}
				slices.SortFunc(out.Writes, func(a, b ledger.Write) int { return bytes.Compare(a.Key, b.Key) })
				return out
			}
			for range life + 10 {
				put(b, tree, block())
			}
			var cpu time.Duration
			for b.Loop() {
				b.StopTimer()
				out, began := block(), processorTime()
				b.StartTimer()
				put(b, tree, out)
				cpu += processorTime() - began
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*txs), "µs/tx")
			b.ReportMetric(float64(cpu.Microseconds())/float64(b.N*txs), "cpu-µs/tx")
			b.ReportMetric(float64(len(tree.staging(b, block())))/txs, "rows/tx")
		})
	}
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// staging are the rows of the state that a block would write.
func (t *Tree) staging(tb testing.TB, out ledger.Outcome) []row {
	tb.Helper()
	if _, err := t.Stage(t.Height()+1, out); err != nil {
		tb.Fatal(err)
	}
	return t.staged.rows
}

func processorTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
