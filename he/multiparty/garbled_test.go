package multiparty

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// scramble replaces what a share publishes of the inputs, or of the outputs, by
// uniform residues: well-formed, and wrong.
func scramble(s *MapShare, outputs bool) {
	random := rand.New(rand.NewPCG(1, 2))
	objects := s.inputs
	if outputs {
		objects = s.outputs
	}
	for _, o := range objects {
		for i, row := range o.Rows {
			q := o.Profile.Params().Q()[i]
			for k := range row {
				row[k] = random.Uint64N(q)
			}
		}
	}
}

// One key holder sends a share of the right form and no meaning. Without the
// check the round ends as any other and the job goes on with noise; with it the
// round says so, and a share that spoils only the outputs is found out in the
// next round.
func TestAttackGarbledShare(t *testing.T) {
	ps := hetest.Profiles(t)
	const width = 16
	roster, parties, sums := holders(t, ps, 3)
	p := ps.Train
	in := Input{Profile: p, Level: p.Floor(), LogScale: p.LogScale(), LogValue: he.LogRefreshValue}
	m := &Map{Width: width, Inputs: []Input{in}, Outputs: []Output{{p, []Term{Periodic(p, width, 0, 1)}}}}
	value := encryptPhase(p, sums["train"], p.MaxLevel(), map[int]int64{0: 1 << 40}, "value")

	run := func(c *he.Ciphertext, id string, off defences, spoil func(*MapShare)) ([]*he.Ciphertext, error) {
		t.Helper()
		r, err := newRound(roster, he.HashParts(id), m, []*he.Ciphertext{c.At(p.Floor())}, off)
		if err != nil {
			t.Fatal(err)
		}
		var shares []*MapShare
		for i, s := range parties {
			share, err := r.GenShare(s, &UsedSet{})
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 && spoil != nil {
				spoil(share)
			}
			shares = append(shares, share)
		}
		out, _, err := r.Finish(shares)
		return out, err
	}
	var garbled *GarbledError
	if _, err := run(value, "honest", defences{}, nil); err != nil {
		t.Fatalf("honest shares: %v", err)
	}
	inputs := func(s *MapShare) { scramble(s, false) }
	outputs := func(s *MapShare) { scramble(s, true) }
	if _, err := run(value, "off", defences{sumsUp: true}, inputs); err != nil {
		t.Fatalf("without the check a wrong share goes through: %v", err)
	}
	if _, err := run(value, "on", defences{}, inputs); !errors.As(err, &garbled) {
		t.Errorf("a wrong share: %v, want a GarbledError", err)
	}
	spoiled, err := run(value, "outputs", defences{}, outputs)
	if err != nil {
		t.Fatalf("a share wrong in its outputs shows only later: %v", err)
	}
	if _, err := run(spoiled[0], "next off", defences{sumsUp: true}, nil); err != nil {
		t.Fatalf("without the check the next round goes through: %v", err)
	}
	if _, err := run(spoiled[0], "next", defences{}, nil); !errors.As(err, &garbled) {
		t.Errorf("the round after a wrong output: %v, want a GarbledError", err)
	}
}
