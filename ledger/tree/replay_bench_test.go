package tree

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// BenchmarkReplay is what an auditor does with a block after its commit is
// verified, on one core: ledger.Apply with every signature, and the root, on a
// tree of so many keys. Blocks are of 500 transfers of 300 bytes.
//
//	go test ./ledger/tree -run '^$' -bench Replay -cpu 1
func BenchmarkReplay(b *testing.B) {
	const txs = 500
	for _, keys := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			tree, now, n := open(b, ""), int64(1_700_000_000_000), 0
			private := func(i int) ed25519.PrivateKey {
				seed := sha256.Sum256(fmt.Append(nil, "member ", i))
				return ed25519.NewKeyFromSeed(seed[:])
			}
			put(b, tree, ledger.Outcome{Writes: founding(b, private)})
			for n := 0; n < keys; n += 5000 {
				var out ledger.Outcome
				for i := range 5000 {
					out.Writes = append(out.Writes, ledger.Write{Key: fmt.Appendf(nil, "account/f-%08d\x00", n+i), Value: make([]byte, 60)})
				}
				put(b, tree, out)
			}
			var cpu time.Duration
			for b.Loop() {
				b.StopTimer()
				block := ledger.Block{Height: tree.Height() + 1, Time: now}
				for range txs {
					n++
					body := &ledger.Transfer{To: fmt.Sprint("m-", (n*7+1)%50), Amount: 1, Memo: make([]byte, 166)}
					block.Txs = append(block.Txs, ledger.SignTx("bench", now+60_000+int64(n%1000), body, private(n%50)))
				}
				now += 1000
				began := processorTime()
				b.StartTimer()
				out := ledger.Apply(tree.View(), block)
				put(b, tree, out)
				cpu += processorTime() - began
				if len(out.Leaves) != txs || len(block.Txs[0]) > 300 {
					b.Fatalf("%d accepted, of %d bytes: %v", len(out.Leaves), len(block.Txs[0]), out.Results[:3])
				}
			}
			b.ReportMetric(float64(b.N*txs)/b.Elapsed().Seconds(), "tx/s")
			b.ReportMetric(float64(b.N*txs)/cpu.Seconds(), "tx/cpu-s")
		})
	}
}

// founding is a consortium of fifty members with credits.
func founding(b *testing.B, private func(int) ed25519.PrivateKey) []ledger.Write {
	g := ledger.Genesis{Chain: "bench", Mode: ledger.Quorum, Quorum: 2, Train: ledger.Digest{1}, Release: ledger.Digest{1}, Serve: ledger.Digest{1}}
	g.Money.Grant = 1 << 30
	for i := range 50 {
		m := ledger.Member{Name: fmt.Sprint("m-", i), Owner: fmt.Sprint("owner ", i), Roles: ledger.Company, Signing: ledger.Key(private(i).Public().(ed25519.PublicKey)), TLS: ledger.Key{byte(i + 1)}}
		if i%3 == 1 {
			m.Roles, m.Address = ledger.Aggregator, "host:1"
		}
		if i%3 == 2 {
			m.Roles, m.Address, m.Vote = ledger.Validator, "host:1", ledger.Key{byte(i), 1}
		}
		g.Members = append(g.Members, m)
	}
	writes, err := g.Writes()
	if err != nil {
		b.Fatal(err)
	}
	return writes
}
