package multiparty

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// From its keys and their list an observer is made as from all that was said;
// from any other keys or list it is not.
func TestRecall(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := Plan{Train: ps.Train, Release: ps.Release}
	parties := convene(t, plan, "epoch", 3, ceremonyDefences{})
	base, err := NewObserver(plan, he.HashParts("epoch"), company[:3])
	if err == nil {
		err = watch(rand.New(rand.NewPCG(1, 0)), base, record(t, parties))
	}
	if err != nil {
		t.Fatal(err)
	}
	with := testPlan(ps)
	set, err := NewKeySetObserver(with, he.HashParts("task"), base.Epoch())
	if err == nil {
		err = watch(rand.New(rand.NewPCG(2, 0)), set, record(t, extend(t, parties, with, "task", ceremonyDefences{})))
	}
	if err != nil {
		t.Fatal(err)
	}
	of := func(o *Observer, spoil func(*Recall), circuits ...*he.Profile) Recall {
		r := Recall{List: o.List(), Keys: o.KeyDigest(), Circuits: circuits}
		r.Part = func(d he.Digest) ([]byte, error) { return o.Part(slices.Index(o.List().Parts, d)), nil }
		if spoil != nil {
			spoil(&r)
		}
		return r
	}
	again, err := RecallObserver(plan, he.HashParts("epoch"), company[:3], of(base, nil, ps.Train))
	if err != nil {
		t.Fatal(err)
	}
	setAgain, err := RecallKeySetObserver(with, he.HashParts("task"), again.Epoch(), of(set, nil, ps.Train))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Epoch(), base.Epoch()) || !reflect.DeepEqual(again.EvaluationKeys(ps.Train), base.EvaluationKeys(ps.Train)) ||
		!reflect.DeepEqual(setAgain.EvaluationKeys(ps.Train), set.EvaluationKeys(ps.Train)) {
		t.Error("the keys recalled are others")
	}
	if again.EvaluationKeys(ps.Release) != nil {
		t.Error("keys that were not recalled are there")
	}

	for name, spoil := range map[string]func(*Recall){
		"another common reference string": func(r *Recall) { r.List.CRS[0] ^= 1 },
		"another key digest":              func(r *Recall) { r.Keys[0] ^= 1 },
		"another part":                    func(r *Recall) { r.List.Parts[0][0] ^= 1 },
		"a part too few":                  func(r *Recall) { r.List.Parts = r.List.Parts[1:] },
		"other bytes of a part": func(r *Recall) {
			part := r.Part
			r.Part = func(d he.Digest) ([]byte, error) {
				b, err := part(d)
				b = bytes.Clone(b)
				b[len(b)-8] ^= 1
				return b, err
			}
		},
	} {
		if _, err := RecallObserver(plan, he.HashParts("epoch"), company[:3], of(base, spoil, ps.Train)); !errors.Is(err, ErrRecall) {
			t.Errorf("base, %s: %v", name, err)
		}
		if _, err := RecallKeySetObserver(with, he.HashParts("task"), base.Epoch(), of(set, spoil, ps.Train)); !errors.Is(err, ErrRecall) {
			t.Errorf("key set, %s: %v", name, err)
		}
	}
}
