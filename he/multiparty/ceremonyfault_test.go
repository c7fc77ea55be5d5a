package multiparty

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// Case 27 of the protocol's faults, and its kin: whatever cal does wrong, the
// others abort, name it if it can be told, and forget their secrets.
func TestCeremonyFaults(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	flip := func(at int) func([]byte) []byte {
		return func(msg []byte) []byte {
			msg = bytes.Clone(msg)
			msg[at] ^= 1
			return msg
		}
	}
	drop := func([]byte) []byte { return nil }
	const context, digest, body = messageHeader, messageHeader + 32, messageHeader + 200
	for _, tc := range []struct {
		name     string
		stage    stage
		reveal   bool
		tamper   func(msg []byte) []byte
		cause    Cause
		culprits []string
	}{
		{"another plan", nonces, false, flip(context), Disagreed, nil},
		{"no nonce commitment", nonces, false, drop, Absent, []string{"cal"}},
		{"another nonce", nonces, true, flip(context), Mismatched, []string{"cal"}},
		{"another nonce commitment", nonces, false, flip(digest), Mismatched, []string{"cal"}},
		{"no nonce", nonces, true, drop, Absent, []string{"cal"}},
		{"another reference string", roundOne, false, flip(context), Disagreed, nil},
		{"no commitment", roundOne, false, drop, Absent, []string{"cal"}},
		{"no reveal", roundOne, true, drop, Absent, []string{"cal"}},
		{"another reveal", roundOne, true, flip(body), Mismatched, []string{"cal"}},
		{"another sum of round 1", roundTwo, false, flip(context), Disagreed, nil},
		{"another round 2", roundTwo, true, flip(body), Mismatched, []string{"cal"}},
		{"other keys", endTest, false, flip(context), Disagreed, nil},
		{"another opening", endTest, true, flip(body), Mismatched, []string{"cal"}},
		{"no opening", endTest, true, drop, Absent, []string{"cal"}},
		{"a trailing byte", roundTwo, false, func(msg []byte) []byte { return append(msg, 0) }, Malformed, []string{"cal"}},
		{"a newer version", roundOne, true, flip(0), Malformed, []string{"cal"}},
		{"no message at all", roundOne, false, func([]byte) []byte { return []byte{} }, Malformed, []string{"cal"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parties := convene(t, plan, "epoch", 3, ceremonyDefences{})
			abort := inStep(t, parties, func(from int, msg []byte) []byte {
				if m := parsed(t, parties[cal], msg); from == cal && m.stage == tc.stage && m.reveal == tc.reveal {
					return tc.tamper(msg)
				}
				return msg
			})
			ann := parties[0]
			if tc.cause == Absent && abort == nil {
				errors.As(ann.Expire(), &abort)
			}
			checkAbort(t, abort, tc.cause, tc.culprits...)
			// Over for good: nothing is said, nothing is kept, and what comes late
			// finds the same abort.
			late := message{stage: tc.stage}.append(nil)
			if err := ann.Receive("cal", late); err != error(ann.abort) || ann.abort == nil || ann.Expire() != error(ann.abort) {
				t.Errorf("a late message got %v", err)
			}
			if ann.Done() || len(ann.Send()) > 0 || ann.Secrets() != nil || ann.forge != nil || ann.seed != (he.Seed{}) || ann.EvaluationKeys(ps.Train) != nil {
				t.Error("an aborted ceremony goes on, or kept a secret")
			}
		})
	}
}

// A share that is committed to and revealed as committed, but is none.
func TestCeremonyRefusesMalformedShare(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := Plan{Train: ps.Train, Release: ps.Release, TrainRotations: []int{1}}
	for name, change := range map[string]func(o *he.Object){
		"a residue not below its prime": func(o *he.Object) { o.Rows[0][0] = ^uint64(0) },
		"another element":               func(o *he.Object) { o.Element += 2 },
	} {
		t.Run(name, func(t *testing.T) {
			parties := convene(t, plan, "epoch", 3, ceremonyDefences{})
			galois := part{kind: he.KindGaloisShare, profile: ps.Train, element: ps.Train.Rotation(1)}
			checkAbort(t, inStep(t, parties, spoil(t, parties[cal], cal, galois, change)), Malformed, "cal")
		})
	}
}

// Two different messages for one step name their sender, whenever the second
// comes; two equal ones are harmless, and so is anything after Done.
func TestCeremonyEquivocation(t *testing.T) {
	ps := hetest.Profiles(t)
	plan := Plan{Train: ps.Train, Release: ps.Release}
	var record [][]byte // cal's messages, in order
	finished := convene(t, plan, "epoch", 3, ceremonyDefences{})
	inStep(t, finished, func(from int, msg []byte) []byte {
		if from == cal {
			record = append(record, msg)
		}
		return msg
	})
	for i, msg := range record {
		parties := convene(t, plan, "epoch", 3, ceremonyDefences{})
		sent := 0
		abort := inStep(t, parties, func(from int, msg []byte) []byte {
			if from == cal {
				sent++
			}
			if sent > i+1 { // cal's message i is in: stop there
				return nil
			}
			return msg
		})
		if abort != nil {
			t.Fatal(abort)
		}
		ann := parties[0]
		if err := ann.Receive("cal", msg); err != nil {
			t.Errorf("message %d again: %v", i, err)
		}
		other := bytes.Clone(msg)
		other[len(other)-1] ^= 1
		err := ann.Receive("cal", other)
		if ann.Done() {
			if err != nil {
				t.Errorf("message %d after Done: %v", i, err)
			}
			continue
		}
		checkAbort(t, err, Equivocated, "cal")
	}
	if err := finished[0].Receive("mallory", record[0]); err == nil || errors.Is(err, ErrEarly) {
		t.Errorf("a stranger's message: %v", err)
	}
	if err := finished[0].Receive("ann", record[0]); err == nil {
		t.Error("a party took its own message")
	}
	if finished[0].Expire() != nil || !finished[0].Done() {
		t.Error("a ceremony that is done expired")
	}
}

// Nothing leaves a party before all commitments are in, and nothing of a later
// stage is taken.
func TestCeremonyWaits(t *testing.T) {
	ps := hetest.Profiles(t)
	parties := convene(t, testPlan(ps), "epoch", 3, ceremonyDefences{})
	ann, bob := parties[0], parties[1]
	first := ann.Send()
	if len(first) != 1 || parsed(t, ann, first[0]).reveal {
		t.Fatal("the first Send is a commitment and nothing else")
	}
	if err := ann.Receive("bob", bob.Send()[0]); err != nil {
		t.Fatal(err)
	}
	if len(ann.Send()) > 0 {
		t.Error("ann reveals before cal has committed")
	}
	nonce := message{stage: nonces, reveal: true, payload: make([]byte, 32)}.append(nil)
	commitment := message{stage: roundTwo, payload: make([]byte, 32*3)}.append(nil)
	for _, msg := range [][]byte{nonce, commitment} {
		if err := ann.Receive("bob", msg); !errors.Is(err, ErrEarly) {
			t.Errorf("%v, want ErrEarly", err)
		}
	}
	for _, shown := range []string{fmt.Sprintf("%v", ann), fmt.Sprintf("%+v", ann), fmt.Sprintf("%#v", ann), ann.LogValue().String()} {
		if shown != "ceremony of ann: nonces" {
			t.Errorf("a ceremony prints as %q", shown)
		}
	}
	if ann.Secrets() != nil || ann.EvaluationKeys(ps.Train) != nil || ann.KeyDigest() != (he.Digest{}) {
		t.Error("keys before the ceremony is done")
	}
	if abort := ann.Expire(); abort == nil {
		t.Error("no abort after the deadline")
	} else {
		checkAbort(t, abort, Absent, "cal")
	}
}

func FuzzCeremonyMessage(f *testing.F) {
	ps := hetest.Profiles(f)
	plan := testPlan(ps)
	base := plan.script()
	for s, parts := range base {
		f.Add(message{stage: stage(s), payload: make([]byte, 32*(1+len(parts)))}.append(nil))
	}
	f.Add(message{stage: nonces, reveal: true, payload: make([]byte, 32)}.append(nil))
	f.Add(message{stage: endTest, reveal: true, part: 1, payload: make([]byte, base[endTest][1].size())}.append(nil))
	f.Add(binary.BigEndian.AppendUint32([]byte{he.Version, byte(roundOne), 1}, ^uint32(0)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []script{plan.script(), plan.keySetScript()} {
			m, err := parseMessage(s, b)
			if err != nil {
				continue
			}
			if !bytes.Equal(m.append(nil), b) {
				t.Errorf("%x... is accepted and encodes otherwise", b[:messageHeader])
			}
			if number, part, reveal, err := Describe(b); err != nil || number != int(m.stage) || part != m.part || reveal != m.reveal {
				t.Errorf("%x... is described as stage %d, part %d: %v", b[:messageHeader], number, part, err)
			}
		}
		c, err := NewCeremony(plan, he.Digest{}, company[:2], "ann", he.Seed{1})
		if err != nil {
			t.Fatal(err)
		}
		before := slices.Clone(b)
		err = c.Receive("bob", b)
		var abort *Abort
		if err != nil && !errors.Is(err, ErrEarly) && !errors.As(err, &abort) {
			t.Errorf("%v is neither early nor an abort", err)
		}
		if !bytes.Equal(before, b) {
			t.Error("a message was written to")
		}
	})
}
