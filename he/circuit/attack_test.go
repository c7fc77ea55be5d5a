package circuit

import (
	"math"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

// localBench is a company with a few rows of its own.
func localBench(t *testing.T, rows he.Rows) (*bench, *Evaluator, []PlainBlock) {
	t.Helper()
	b := newBenchOf(hetest.Profiles(t).Train, newPlan(hetest.Profiles(t).Train, he.Packing{Width: 4, Baby: 4}, 2))
	ev, err := NewEvaluator(b.plan, b.keys)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := NewPlainBlock(b.enc, b.plan, rows)
	if err != nil {
		t.Fatal(err)
	}
	return b, ev, []PlainBlock{plain}
}

// Attack: weights that are no encryption, (m, 0). The evaluation is then linear
// in nothing secret, and the update is the rows' gradient in the clear. The
// update is left unsanitised on both sides: law L13 would hide it too.
func TestAttackTrivialWeights(t *testing.T) {
	rows := randomRows(5, 4, 3)
	b, ev, blocks := localBench(t, rows)
	p := b.plan.Profile
	w := []float64{0.5, -0.25, 0.125, 0.75}
	honest := b.weights(t, w)
	trivial := he.NewCiphertext(p, p.MaxLevel(), p.LogScale())
	m := b.sk.Phase(honest)
	p.RingQ(p.MaxLevel()).NTT(m, trivial.C0)

	x, err := ev.localGradient(trivial, testInterval, blocks, localDefences{})
	if err != nil {
		t.Fatal(err)
	}
	// Read without any key: c0 alone is the message.
	slots, err := b.enc.Decode(x.C0, x.LogScale)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, 4)
	for i, v := range slots {
		got[i%4] += v
	}
	want, _ := Twin{}.Gradient(w, testInterval, rows, 1)
	for j := range want {
		if math.Abs(got[j]-want[j]) > 1e-4 {
			t.Fatalf("on trivial weights the attack should read gradient %v, got %v", want, got)
		}
	}
	if _, err := ev.localGradient(trivial, testInterval, blocks, localDefences{c1: &honest.C1}); err == nil {
		t.Error("trivial weights were accepted")
	}
}

// Attack: an update without a fresh encryption of zero is a function of public
// values and of the rows: whoever guesses the rows can check it.
func TestAttackUnsanitisedUpdate(t *testing.T) {
	rows := randomRows(5, 4, 3)
	b, ev, blocks := localBench(t, rows)
	w := b.weights(t, []float64{0.5, -0.25, 0.125, 0.75})
	guess := func(seen *he.Ciphertext) (found int) {
		for candidate := range uint64(6) {
			plain, err := NewPlainBlock(b.enc, b.plan, randomRows(5, 4, candidate))
			if err != nil {
				t.Fatal(err)
			}
			x, err := ev.localGradient(w, testInterval, []PlainBlock{plain}, localDefences{})
			if err != nil {
				t.Fatal(err)
			}
			if x.Digest() == seen.Digest() {
				return int(candidate)
			}
		}
		return -1
	}
	bare, err := ev.localGradient(w, testInterval, blocks, localDefences{})
	if err != nil {
		t.Fatal(err)
	}
	if got := guess(bare); got != 3 {
		t.Fatalf("without the encryption of zero the attack should find guess 3, got %d", got)
	}
	sent, err := ev.LocalGradient(w, testInterval, w.C1, blocks, b.pk, b.seed)
	if err != nil {
		t.Fatal(err)
	}
	if got := guess(sent); got != -1 {
		t.Errorf("guess %d of the rows was confirmed", got)
	}
}

// Attack: two updates at the same weights with the same coins, as after a
// restart with corrected rows. Their difference is a function of public values
// and rows again.
func TestAttackReusedUpdateCoins(t *testing.T) {
	first, second := randomRows(5, 4, 3), randomRows(5, 4, 4)
	b, ev, blocks := localBench(t, first)
	w := b.weights(t, []float64{0.5, -0.25, 0.125, 0.75})
	corrected, err := NewPlainBlock(b.enc, b.plan, second)
	if err != nil {
		t.Fatal(err)
	}
	sent := func(own []PlainBlock, send func([]PlainBlock) (*he.Ciphertext, error)) *he.Ciphertext {
		x, err := send(own)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	bare := func(own []PlainBlock) (*he.Ciphertext, error) {
		return ev.localGradient(w, testInterval, own, localDefences{})
	}
	// What a guess of both sets of rows says the difference is.
	guess := difference(sent(blocks, bare), sent([]PlainBlock{corrected}, bare))
	confirmed := func(send func([]PlainBlock) (*he.Ciphertext, error)) bool {
		d := difference(sent(blocks, send), sent([]PlainBlock{corrected}, send))
		return d.Digest() == guess.Digest()
	}
	if !confirmed(func(own []PlainBlock) (*he.Ciphertext, error) {
		return ev.localGradient(w, testInterval, own, localDefences{zero: func(x *he.Ciphertext) *he.Ciphertext {
			return b.pk.EncryptZero(x.Level(), x.LogScale, b.seed.Stream("the same for both"))
		}})
	}) {
		t.Fatal("with coins that repeat the attack should confirm the guess")
	}
	if confirmed(func(own []PlainBlock) (*he.Ciphertext, error) {
		return ev.LocalGradient(w, testInterval, w.C1, own, b.pk, b.seed)
	}) {
		t.Error("two updates at the same weights share their coins")
	}
}

func difference(a, b *he.Ciphertext) *he.Ciphertext {
	r := a.Profile.RingQ(a.Level())
	d := he.NewCiphertext(a.Profile, a.Level(), a.LogScale)
	r.Sub(a.C0, b.C0, d.C0)
	r.Sub(a.C1, b.C1, d.C1)
	return d
}
