package checker_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/federation/fedtest"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
)

// Every step of an honest job is right, and there is no proof of the contrary.
func TestAuditHonest(t *testing.T) {
	w := train(t, bring(t, hetest.Profiles(t)), nil)
	a := checker.NewAudit(w.job, w.profiles, w.node)
	for s := range uint16(steps + 2) { // the last is the model's record
		if err := a.Step(t.Context(), w.View(), s); err != nil {
			t.Errorf("step %d: %v", s, err)
		}
		if _, err := w.proof(t, s); !errors.Is(err, checker.ErrRight) {
			t.Errorf("a proof of step %d: %v", s, err)
		}
	}
	if err := a.Step(t.Context(), w.View(), steps+2); err == nil || replay.IsWrong(err) {
		t.Errorf("a step that is none: %v", err)
	}
}

// A model's record that is not what the last map left is found, and shown in a file.
func TestAuditModel(t *testing.T) {
	brought := bring(t, hetest.Profiles(t))
	for name, spoil := range map[string]func(*ledger.ModelRecord){
		"the model is recorded": func(r *ledger.ModelRecord) { r.State[0] ^= 1 },
		"remainder":             func(r *ledger.ModelRecord) { r.Remainder[0] ^= 1 },
		"values":                func(r *ledger.ModelRecord) { r.Values[0] ^= 1 },
		"operation 0":           func(r *ledger.ModelRecord) { r.Ops[0][0] ^= 1 },
		"no values": func(r *ledger.ModelRecord) {
			r.Values, r.C1, r.Ops = ledger.Digest{}, ledger.Digest{}, nil
		},
		"share 0 is none": func(r *ledger.ModelRecord) {
			r.Shares = append([]ledger.Digest{r.Ops[0]}, r.Shares[1:]...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := train(t, brought, func(_ *fedtest.World, from string, b ledger.Body) ledger.Body {
				if r, ok := b.(*ledger.ModelRecord); ok {
					forged := *r
					forged.Ops = slices.Clone(r.Ops)
					spoil(&forged)
					return &forged
				}
				return b
			})
			err := checker.NewAudit(w.job, w.profiles, w.node).Step(t.Context(), w.View(), steps+1)
			if !replay.IsWrong(err) || !strings.Contains(err.Error(), name) {
				t.Errorf("%v", err)
			}
			file, err := w.proof(t, steps+1)
			must(t, err)
			f, err := checker.VerifyFraud(bytes.NewReader(file), int64(len(file)), w.profiles, readSigned)
			if err != nil || f.Step != steps+1 || !slices.Equal(f.Accused, nodes) || !strings.Contains(f.Detail, name) {
				t.Errorf("%+v, %v", f, err)
			}
			t.Logf("%d bytes show: %s", len(file), f.Detail)
			forgeries(t, w, file)
		})
	}
}

// Opened values that both nodes made up are found, and shown in a file: of the
// shares that companies signed, and of the ciphertext they open.
func TestAuditValues(t *testing.T) {
	brought := bring(t, hetest.Profiles(t))
	honest := opened(t, train(t, brought, nil))
	if err := checker.NewAudit(honest.job, honest.profiles, honest.node).Step(t.Context(), honest.View(), steps+2); err != nil {
		t.Error(err)
	}
	if _, err := honest.proof(t, steps+2); !errors.Is(err, checker.ErrRight) {
		t.Errorf("a proof against honest nodes: %v", err)
	}
	w := opened(t, train(t, brought, func(_ *fedtest.World, _ string, b ledger.Body) ledger.Body {
		if x, ok := b.(*ledger.Values); ok {
			forged := *x
			forged.Values = slices.Clone(x.Values)
			forged.Values[0] *= 2
			return &forged
		}
		return b
	}))
	err := checker.NewAudit(w.job, w.profiles, w.node).Step(t.Context(), w.View(), steps+2)
	if !replay.IsWrong(err) || !strings.Contains(err.Error(), "open to") {
		t.Errorf("%v", err)
	}
	file, err := w.proof(t, steps+2)
	must(t, err)
	f, err := checker.VerifyFraud(bytes.NewReader(file), int64(len(file)), w.profiles, readSigned)
	if err != nil || f.Step != steps+2 || !slices.Equal(f.Accused, nodes) {
		t.Errorf("%+v, %v", f, err)
	}
	t.Logf("%d bytes show: %s", len(file), f.Detail)
	forgeries(t, w, file)
}

// An altered step is found, alone, and shown in a file that verifies with what
// its verifier trusts and nothing else.
func TestFraudProof(t *testing.T) {
	w := altered(t, bring(t, hetest.Profiles(t)))
	a := checker.NewAudit(w.job, w.profiles, w.node)
	for s := range uint16(steps + 1) {
		if err := a.Step(t.Context(), w.View(), s); replay.IsWrong(err) != (s == 1) {
			t.Errorf("step %d: %v", s, err)
		}
	}
	file, err := w.proof(t, 1)
	must(t, err)
	f, err := checker.VerifyFraud(bytes.NewReader(file), int64(len(file)), w.profiles, readSigned)
	must(t, err)
	if f.Job != w.job || f.Step != 1 || !slices.Equal(f.Accused, nodes) || f.Height != 7 || !strings.Contains(f.Detail, "input 2") {
		t.Errorf("%+v", f)
	}
	t.Logf("%d bytes show: %s", len(file), f.Detail)
	again, err := w.proof(t, 1)
	must(t, err)
	if !bytes.Equal(again, file) {
		t.Error("collected again it is another file")
	}
	forgeries(t, w, file)
	flips(t, w, file)
}

// A round of comparing that both nodes altered is found, alone, and shown in a file:
// products of updates, of two numbers of a pair, of one with itself, and of signs.
func TestAuditRounds(t *testing.T) {
	brought := bring(t, hetest.Profiles(t))
	honest := trainComparing(t, brought, replay.CompareRounds, nil)
	a := checker.NewAudit(honest.job, honest.profiles, honest.node)
	for s := range uint16(steps + replay.CompareRounds + 2) {
		if err := a.Step(t.Context(), honest.View(), s); err != nil {
			t.Errorf("step %d: %v", s, err)
		}
	}
	for _, round := range []uint16{1, 2, 3, replay.CompareRounds} {
		w := trainComparing(t, brought, replay.CompareRounds, func(w *fedtest.World, from string, b ledger.Body) ledger.Body {
			if r, ok := b.(*ledger.StepRecord); ok && r.Step == steps+round && slices.Contains(nodes, from) {
				forged, err := w.AlterRecord(from, r)
				must(t, err)
				return forged
			}
			return b
		})
		a := checker.NewAudit(w.job, w.profiles, w.node)
		for _, s := range []uint16{steps + round - 1, steps + round, steps + round + 1} {
			if err := a.Step(t.Context(), w.View(), s); replay.IsWrong(err) != (s == steps+round) {
				t.Errorf("round %d altered, step %d: %v", round, s, err)
			}
		}
		file, err := w.proof(t, steps+round)
		must(t, err)
		f, err := checker.VerifyFraud(bytes.NewReader(file), int64(len(file)), w.profiles, readSigned)
		if err != nil || f.Step != steps+round || !slices.Equal(f.Accused, nodes) || !strings.Contains(f.Detail, "input") {
			t.Errorf("round %d: %+v, %v", round, f, err)
		}
		t.Logf("%d bytes show: %s", len(file), f.Detail)
		if !testing.Short() {
			forgeries(t, w, file)
		}
	}
}

// Copies that the bits do not open are found and shown, and a share that is none is
// held against the record that goes on from it, not against a later one.
func TestAuditCopies(t *testing.T) {
	w := trainComparing(t, bring(t, hetest.Profiles(t)), replay.CompareRounds, func(_ *fedtest.World, from string, b ledger.Body) ledger.Body {
		if r, ok := b.(*ledger.ModelRecord); ok {
			forged := *r
			forged.Copies = []ledger.Pair{{First: 0, Second: 1}}
			return &forged
		}
		return b
	})
	const model = steps + replay.CompareRounds + 1
	file, err := w.proof(t, model)
	must(t, err)
	f, err := checker.VerifyFraud(bytes.NewReader(file), int64(len(file)), w.profiles, readSigned)
	if err != nil || f.Step != model || !slices.Equal(f.Accused, nodes) || !strings.Contains(f.Detail, "copies") {
		t.Errorf("%+v, %v", f, err)
	}
	forgeries(t, w, file)

	_, next, err := replay.Ticketed(w.View(), w.job, steps+1)
	must(t, err)
	from := checker.Sources(t.Context(), w.state, w.job, w.profiles, w.node)
	honest := from.Blob
	from.Blob = func(d ledger.Digest) ([]byte, error) {
		if d == next.Shares[1] {
			return []byte("no share"), nil
		}
		return honest(d)
	}
	c, err := replay.NewChecker(w.job, from)
	must(t, err)
	var earlier *replay.EarlierError
	if err := c.Check(model); !errors.As(err, &earlier) || earlier.Step != steps+1 || replay.IsWrong(err) {
		t.Errorf("the model's record, after a share that is none: %v", err)
	}
	if err := c.Check(steps + 1); !replay.IsWrong(err) {
		t.Errorf("the record that goes on from it: %v", err)
	}
}

// open takes a file apart; shut puts it together.
func open(t *testing.T, file []byte) (*checker.Fraud, [][]byte) {
	t.Helper()
	head, at, err := checker.ReadHead(bytes.NewReader(file), int64(len(file)))
	must(t, err)
	var blobs [][]byte
	for _, b := range head.Blobs {
		blobs = append(blobs, slices.Clone(file[at:at+int64(b.Size)]))
		at += int64(b.Size)
	}
	return head, blobs
}

func shut(t *testing.T, head *checker.Fraud, blobs [][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, checker.Write(&out, head, bytes.NewReader(bytes.Join(blobs, nil))))
	return out.Bytes()
}

// forgeries leave each part out, and put other things in its place.
func forgeries(t *testing.T, w *trained, file []byte) {
	verify := func(name string, b []byte) {
		t.Helper()
		f, err := checker.VerifyFraud(bytes.NewReader(b), int64(len(b)), w.profiles, readSigned)
		// One of equal records of the step before is enough.
		spare := err == nil && name == "without entry step" && slices.Equal(f.Accused, nodes)
		if !spare && !errors.Is(err, checker.ErrNoProof) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	head, _ := open(t, file)
	for i := range head.Entries {
		h, blobs := open(t, file)
		h.Entries = slices.Delete(h.Entries, i, i+1)
		verify("without entry "+string(head.Entries[i].Key[:4]), shut(t, h, blobs))
		h, blobs = open(t, file)
		h.Entries[i].Value, h.Entries[i].Proof = nil, h.Entries[(i+1)%len(h.Entries)].Proof
		verify("absent entry", shut(t, h, blobs))
	}
	for i := range head.Blobs {
		h, blobs := open(t, file)
		h.Blobs, blobs = slices.Delete(h.Blobs, i, i+1), slices.Delete(blobs, i, i+1)
		verify("without a blob", shut(t, h, blobs))
		h, blobs = open(t, file)
		k := (i + 1) % len(h.Blobs)
		if len(blobs[i]) == len(blobs[k]) {
			blobs[i], blobs[k] = blobs[k], blobs[i]
			verify("two blobs exchanged", shut(t, h, blobs))
		}
	}
	for name, spoil := range map[string]func(h *checker.Fraud){
		"another step":          func(h *checker.Fraud) { h.Step = 2 },
		"the start":             func(h *checker.Fraud) { h.Step = 0 },
		"another job":           func(h *checker.Fraud) { h.Job[0] ^= 1 },
		"another root":          func(h *checker.Fraud) { h.Block = bytes.Repeat([]byte{1}, 32) },
		"other signatures":      func(h *checker.Fraud) { h.Commit[0] ^= 1 },
		"another CRS":           func(h *checker.Fraud) { h.Lists.Base.CRS[0] ^= 1 },
		"another CRS of a set":  func(h *checker.Fraud) { h.Lists.Set.CRS[0] ^= 1 },
		"another key":           func(h *checker.Fraud) { h.Lists.Base.Parts[0][0] ^= 1 },
		"keys in another order": func(h *checker.Fraud) { p := h.Lists.Base.Parts; p[0], p[1] = p[1], p[0] },
		"a key more of a set":   func(h *checker.Fraud) { h.Lists.Set.Parts = append(h.Lists.Set.Parts, ledger.Digest{1}) },
		"another key of a set": func(h *checker.Fraud) {
			if p := h.Lists.Set.Parts; len(p) > 0 {
				p[0][0] ^= 1
			} else {
				h.Lists.Set.CRS = h.Lists.Base.CRS
			}
		},
		"keys of a set in another order": func(h *checker.Fraud) {
			if p := h.Lists.Set.Parts; len(p) > 1 {
				p[0], p[1] = p[1], p[0]
			} else {
				h.Lists.Set = h.Lists.Base
			}
		},
		"a key too few": func(h *checker.Fraud) { h.Lists.Base.Parts = h.Lists.Base.Parts[1:] },
		"an entry more": func(h *checker.Fraud) {
			k := ledger.GenesisKey()
			value, proof, err := w.state.Prove(k)
			must(t, err)
			h.Entries = append(h.Entries, checker.Entry{Key: k, Value: value, Proof: proof})
		},
		"an entry twice": func(h *checker.Fraud) { h.Entries = append(h.Entries, h.Entries[0]) },
	} {
		h, blobs := open(t, file)
		spoil(h)
		verify(name, shut(t, h, blobs))
	}
	h, blobs := open(t, file)
	h.Blobs = append(h.Blobs, checker.Blob{Digest: ledger.Digest{1}, Size: 1})
	verify("a blob more", shut(t, h, append(blobs, []byte{0})))
	verify("a byte more", append(slices.Clone(file), 0))
	verify("a byte less", file[:len(file)-1])
	verify("nothing", nil)
}

// flips flips bits all over the file, most of them in the head.
func flips(t *testing.T, w *trained, file []byte) {
	head, at, err := checker.ReadHead(bytes.NewReader(file), int64(len(file)))
	must(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	n := 150
	if testing.Short() {
		n = 10
	}
	for i := range n {
		bit := random.Int64N(8 * at)
		if i%10 == 0 {
			bit = 8*at + random.Int64N(8*(int64(len(file))-at))
		}
		flipped := slices.Clone(file)
		flipped[bit/8] ^= 1 << (bit % 8)
		if f, err := checker.VerifyFraud(bytes.NewReader(flipped), int64(len(file)), w.profiles, readSigned); err == nil {
			t.Errorf("bit %d of %d, in a head of %d bytes with %d entries, flipped: %+v", bit, 8*len(file), at, len(head.Entries), f)
		}
	}
}
