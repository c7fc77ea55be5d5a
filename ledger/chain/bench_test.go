package chain

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

const (
	offered = 1000             // transactions a second
	warmUp  = 5 * time.Second  // not measured
	window  = 25 * time.Second // measured
	pulse   = 10 * time.Millisecond

	signing  = 12 * time.Second // all of them
	lifetime = 15 * time.Second // of a transaction
)

// BenchmarkTransfers is four validators as four processes, to which 1,000 signed
// transfers of 300 bytes a second are offered, a quarter to each, from and to
// random ones of so many accounts. Latency is from when a transaction was due to be
// offered until the validator it was offered to has committed it. Signing is done
// before.
//
//	go test ./ledger/chain -run '^$' -bench Transfers -benchtime 1x
func BenchmarkTransfers(b *testing.B) {
	for _, accounts := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			for b.Loop() {
				report := load(b, accounts)
				b.ReportMetric(float64(len(report.Latencies))/window.Seconds(), "tx/s")
				for _, p := range []int{50, 90, 99} {
					b.ReportMetric(float64(report.at(p)), fmt.Sprintf("ms-p%d", p))
				}
				b.ReportMetric(100*report.CPU.Seconds()/4/window.Seconds(), "%cpu/process")
				b.ReportMetric(float64(report.Blocks)/window.Seconds(), "blocks/s")
				b.ReportMetric(float64(report.RSS>>20), "MiB/process")
			}
		})
	}
}

// load offers transactions to four processes, paced, and adds their reports up.
func load(b *testing.B, accounts int) (sum usage) {
	specs, _ := founded(b, 4)
	var p [4]*process
	for i := range p {
		specs[i].Transfers = true
		p[i] = start(b, specs[i])
	}
	for part := range accounts / perOpening {
		p[0].record(string([]byte{byte(part)}))
	}
	for i := range p {
		p[i].reach(p[0].at())
	}
	began := time.Now().Add(signing)
	txs := signedTransfers(accounts, began)
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	if time.Now().After(began) {
		b.Fatalf("signing takes longer than %v; try again when the machine has less to do", signing)
	}
	for i, tx := range txs {
		due := began.Add(time.Duration(i) * time.Second / offered)
		for time.Now().Before(due) {
			<-tick.C
		}
		if i == int(offered*warmUp.Seconds()) {
			for _, p := range p {
				p.send("measure", nil)
			}
		}
		fmt.Fprintf(p[i%4].in, "offer %x %d\n", tx, due.UnixNano())
	}
	for _, p := range p {
		p.send("usage", nil)
	}
	for _, p := range p {
		var u usage
		if err := json.Unmarshal([]byte(p.expect("usage ")), &u); err != nil {
			b.Fatal(err)
		}
		sum.add(u)
	}
	return sum
}

// sign makes the transactions to be offered from a time on. Each expires some
// seconds after it is offered, as if it were signed then, so that there is
// something to forget.
func signedTransfers(accounts int, began time.Time) [][]byte {
	var keys []ed25519.PrivateKey
	for i := range uint32(signers) {
		keys = append(keys, transferKey(i))
	}
	rng := rand.New(rand.NewPCG(1, uint64(accounts)))
	txs := make([][]byte, int(offered*(warmUp+window).Seconds()))
	for i := range txs {
		from := rng.Uint32N(uint32(accounts))
		to := (from + 1 + rng.Uint32N(uint32(accounts)-1)) % uint32(accounts)
		expiry := began.Add(time.Duration(i)*time.Second/offered + lifetime)
		txs[i] = transfer(from, to, 1, expiry.UnixMilli(), uint64(i), keys[from%signers])
	}
	return txs
}

// usage is what a validator used and how long transactions took, in ms, of those
// that were committed since it was told to measure.
type usage struct {
	Latencies []int
	CPU       time.Duration
	RSS       int64 // bytes, the most
	Blocks    int64
}

func (u *usage) add(o usage) {
	u.Latencies = append(u.Latencies, o.Latencies...)
	u.CPU += o.CPU
	u.RSS, u.Blocks = max(u.RSS, o.RSS), max(u.Blocks, o.Blocks)
}

func (u *usage) at(percent int) int {
	slices.Sort(u.Latencies)
	if len(u.Latencies) == 0 {
		return -1
	}
	return u.Latencies[(len(u.Latencies)-1)*percent/100]
}

// A meter measures in a validator's process.
type meter struct {
	n *Node

	mu       sync.Mutex
	due      map[ledger.Digest]time.Time // of what was offered here and is not committed
	now      usage
	cpu      time.Duration // when it was told to measure
	height   int64         // likewise
	refusals map[string]int
}

func processorTime() (cpu time.Duration, rss int64) {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), r.Maxrss << 10
}

// measure begins anew.
func (m *meter) measure() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.height = usage{}, m.n.Height()
	m.cpu, _ = processorTime()
}

func (m *meter) usage() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	cpu, rss := processorTime()
	m.now.CPU, m.now.RSS, m.now.Blocks = cpu-m.cpu, rss, m.n.Height()-m.height
	out, err := json.Marshal(m.now)
	if err != nil {
		return err.Error()
	}
	if len(m.refusals) > 0 {
		fmt.Println("refused", m.refusals)
	}
	return string(out)
}

// offer submits a transaction that was due at a time.
func (m *meter) offer(ctx context.Context, arg string) {
	var text string
	var due int64
	fmt.Sscan(arg, &text, &due)
	tx, _ := hex.DecodeString(text)
	m.mu.Lock()
	m.due[sha256.Sum256(tx)] = time.Unix(0, due)
	m.mu.Unlock()
	if r, err := m.n.Submit(ctx, tx); err != nil || r.Code != ledger.OK {
		m.mu.Lock()
		m.refusals[fmt.Sprint(r, err)]++
		m.mu.Unlock()
	}
}

// watch notes when what was offered is committed.
func (m *meter) watch(ctx context.Context) {
	for next, height := uint64(0), int64(-1); ; {
		var err error
		if height, err = m.n.Wait(ctx, height); err != nil {
			return
		}
		now := time.Now()
		for size := m.n.Tree().Leaves(); next < size; next++ {
			leaf, err := m.n.Tree().Leaf(next)
			if err != nil {
				return
			}
			m.mu.Lock()
			if due, ok := m.due[sha256.Sum256(leaf)]; ok {
				m.now.Latencies = append(m.now.Latencies, int(now.Sub(due).Milliseconds()))
				delete(m.due, sha256.Sum256(leaf))
			}
			m.mu.Unlock()
		}
	}
}
