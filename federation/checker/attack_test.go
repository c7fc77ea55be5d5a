package checker_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// Who frames honest nodes leaves something out, puts something else in its place,
// or shows another ledger: each attack works with one defence off, and not with
// it on.
func TestAttackFramedNodes(t *testing.T) {
	brought := bring(t, hetest.Profiles(t))
	w := train(t, brought, nil)
	for defence, forge := range map[string]func(*testing.T, *trained) []byte{
		"proofs":  func(t *testing.T, w *trained) []byte { return otherRecord(t, w, altered(t, brought)) },
		"digests": otherShare,
		"lacking": noContribution,
	} {
		file := forge(t, w)
		size := int64(len(file))
		if f, err := checker.VerifyWithout(defence, bytes.NewReader(file), size, w.profiles, readSigned); err != nil || !slices.Equal(f.Accused, nodes) {
			t.Errorf("%s: without the defence the attack fails: %+v, %v", defence, f, err)
		}
		if f, err := checker.VerifyWithout("", bytes.NewReader(file), size, w.profiles, readSigned); err == nil {
			t.Errorf("%s: honest nodes are framed: %+v", defence, f)
		}
	}
}

// otherRecord shows the records of another ledger under the root of this one.
func otherRecord(t *testing.T, w, other *trained) []byte {
	file, err := other.proof(t, 1)
	must(t, err)
	head, blobs := open(t, file)
	signed := w.signed()
	head.Block, head.Commit = signed.Block, signed.Commit
	return shut(t, head, blobs)
}

// otherShare shows another share in the place of one that a record names.
func otherShare(t *testing.T, w *trained) []byte {
	_, record, err := replay.Ticketed(w.View(), w.job, 1)
	must(t, err)
	from := checker.Sources(context.Background(), w.state, w.job, w.profiles, w.node)
	honest := from.Blob
	from.Blob = func(d ledger.Digest) ([]byte, error) {
		if d == record.Shares[0] {
			d = record.Shares[1]
		}
		return honest(d)
	}
	var out bytes.Buffer
	must(t, checker.Collect(w.state, w.signed(), w.job, 1, from, t.TempDir(), &out))
	return out.Bytes()
}

// noContribution leaves the rows of a company out, as if it had brought none.
func noContribution(t *testing.T, w *trained) []byte {
	without := *w
	without.settle(t)
	var contribution []byte
	without.state.Range([]byte("contribution/"), func(k, _ []byte) bool {
		contribution = k
		return false
	})
	_, err := without.tree.Stage(without.tree.Height()+1, ledger.Outcome{Writes: []ledger.Write{{Key: contribution}}})
	must(t, err)
	must(t, without.tree.Commit())
	without.state = without.tree.View().(*tree.Snapshot)
	file, err := without.proof(t, 1)
	must(t, err)

	head, blobs := open(t, file)
	signed := w.signed()
	head.Block, head.Commit = signed.Block, signed.Commit
	head.Entries = slices.DeleteFunc(head.Entries, func(e checker.Entry) bool { return bytes.Equal(e.Key, contribution) })
	for i, e := range head.Entries {
		head.Entries[i].Value, head.Entries[i].Proof, err = w.state.Prove(e.Key)
		must(t, err)
	}
	return shut(t, head, blobs)
}
