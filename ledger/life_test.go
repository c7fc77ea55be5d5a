package ledger

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// The whole life of a consortium, every transaction, what became of it and the
// keys it wrote: a difference is reviewed like code.
func TestLife(t *testing.T) {
	w := newWorld(t)
	w.story = new(strings.Builder)
	job, model := w.model()
	w.must("ann", admitQuinn())
	w.must("north", &Usage{Batch: 1, Entries: []Used{{Querier: "quinn", Model: model, Answers: 7, Queries: d("queries")}}})
	w.must("quinn", &CloseEpoch{Number: 0})
	w.now += DefaultEpoch
	w.must("v1", &CloseEpoch{Number: 1})

	w.must("dee", &Join{member("dee", Aggregator)})
	join := Join{member("dee", Aggregator)}
	w.must("ann", &Approve{join.Digest()})
	w.must("bob", &Approve{join.Digest()})
	w.must("dee", &Renew{TLS: tls("dee again"), Address: "dee.example:7001"})
	next := w.job(openJob(2))
	w.now += DefaultPatience + 1
	w.must("quinn", &PauseJob{next})
	for _, c := range companies {
		w.must(c, &ReplaceNode{Job: next, Old: "south", New: "dee"})
	}
	post := update(next, 1, 0)
	other := post
	other.Blob = d("another")
	w.must("dee", &Evidence{First: post.Append(nil), Second: other.Sign(signer("cal")).Append(nil)})
	w.must("ann", &Revoke{"cal"})
	w.must("bob", &Revoke{"cal"})
	w.must("peer", &AbortJob{next})
	w.must("bob", &OpenRoster{Epoch: 2, Parties: []string{"ann", "bob"}, Stages: []uint16{1}})
	w.must("ann", &AbortCeremony{Ceremony: BaseCeremony(chain, 2, 1), Culprits: []string{"bob"}, Cause: "a wrong share"})

	j, _ := JobOf(w.state, job)
	m, _ := ModelOf(w.state, model)
	q, _ := QuerierOf(w.state, "quinn")
	e, _ := CurrentEpoch(w.state)
	fmt.Fprintf(w.story, "job %d, model served %v, values %v, quinn used %d, %d releases, evidence %v\n",
		j.State, m.Served(), m.Opened, q.Used, e.Releases, Evidences(w.state))
	fmt.Fprintf(w.story, "state %x\n", w.digest())
	golden(t, "testdata/life.txt", w.story.String())
}

// digest is of all keys and values but the seen-set, which time changes.
func (w *world) digest() Digest {
	var all []byte
	w.state.Range(nil, func(k, v []byte) bool {
		if !bytes.HasPrefix(k, []byte(keySeen)) {
			all = fmt.Appendf(all, "%x=%x\n", k, v)
		}
		return true
	})
	return sha256.Sum256(all)
}

// golden compares a text with the one on file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	have, want := strings.Split(got, "\n"), strings.Split(string(b), "\n")
	for i := range max(len(have), len(want)) {
		if i >= len(have) || i >= len(want) || have[i] != want[i] {
			t.Fatalf("%s:%d: not as on file; look, then run with -rewrite:\n%s", name, i+1, strings.Join(have[i:min(i+5, len(have))], "\n"))
		}
	}
}

// tell writes down what a block did.
func (w *world) tell(txs [][]byte, out Outcome) {
	if w.story == nil {
		return
	}
	fmt.Fprintf(w.story, "block %d\n", w.height)
	for i, b := range txs {
		tx, err := ParseTx(b)
		if err != nil {
			w.tb.Fatal(err)
		}
		name, _ := Signer(w.state, tx.Sender)
		what := "accepted"
		if r := out.Results[i]; r.Code != OK {
			what = fmt.Sprintf("refused, code %d: %s", r.Code, r.Detail)
		}
		fmt.Fprintf(w.story, "  %s %s: %s\n", name, strings.TrimPrefix(fmt.Sprintf("%T", tx.Body), "*ledger."), what)
	}
	for _, x := range out.Writes {
		if !bytes.HasPrefix(x.Key, []byte(keySeen)) {
			fmt.Fprintf(w.story, "    %s, %d bytes\n", readable(x.Key), len(x.Value))
		}
	}
}

// readable is a key for people: digests shortened to three bytes.
func readable(key []byte) string {
	prefix, rest, ok := strings.Cut(string(key), "/")
	if !ok {
		return prefix
	}
	var b strings.Builder
	b.WriteString(prefix + "/")
	for len(rest) > 0 {
		switch name, after, zero := strings.Cut(rest, "\x00"); {
		case zero && ValidName(name):
			b.WriteString(name + " ")
			rest = after
		case len(rest) >= 32:
			fmt.Fprintf(&b, "%x ", rest[:3])
			rest = rest[32:]
		default:
			fmt.Fprintf(&b, "%x ", rest[:1])
			rest = rest[1:]
		}
	}
	return strings.TrimSpace(b.String())
}
