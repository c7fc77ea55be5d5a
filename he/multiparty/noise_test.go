package multiparty

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/commonseal/commonseal/he/hetest"
	"gonum.org/v1/gonum/stat"
)

// Every party adds noise of the stated deviation to every answer, its own and
// the same at every repeat.
func TestNoiseIsEverybodys(t *testing.T) {
	const parties, logNoise = 3, 10
	o := newOpening(t, hetest.Profiles(t), parties, 16, 1)
	answers := make([]int, 900)
	for i := range answers {
		answers[i] = i
	}
	plain := o.release(t, "r", answers, releaseDefences{})
	noisy, err := plain.WithNoise(logNoise)
	if err != nil {
		t.Fatal(err)
	}
	noise := noisy.Open(o.sk, o.finish(t, noisy))
	for i, v := range plain.Open(o.sk, o.finish(t, plain)) {
		noise[i] -= v
	}
	unit := math.Sqrt(parties) * math.Exp2(-logNoise)
	mean, deviation := stat.MeanStdDev(noise, nil)
	kurtosis := stat.ExKurtosis(noise, nil)
	t.Logf("mean %+.3f deviations, deviation %.3f of what is stated, excess kurtosis %+.3f", mean/unit, deviation/unit, kurtosis)
	// Six standard errors of 900 draws.
	if math.Abs(mean/unit) > 0.2 || math.Abs(deviation/unit-1) > 0.15 || math.Abs(kurtosis) > 1 {
		t.Errorf("mean %g, deviation %g of %g, excess kurtosis %g", mean, deviation, unit, kurtosis)
	}
	share := func(r *Release, party int) []byte {
		s, err := r.GenShare(o.parties[party], &UsedSet{})
		if err != nil {
			t.Fatal(err)
		}
		return s.Append(nil)
	}
	if !bytes.Equal(share(noisy, 0), share(noisy, 0)) {
		t.Error("a repeat draws other noise")
	}
	if bytes.Equal(share(noisy, 0), share(plain, 0)) {
		t.Error("noise changes nothing")
	}
	for _, bad := range []int{5, 65, 0, -3} {
		var refused *ReleaseError
		if _, err := plain.WithNoise(bad); !errors.As(err, &refused) {
			t.Errorf("noise 2^-%d: %v", bad, err)
		}
	}
}

// Attack: one ciphertext is asked for with noise and without; the difference of
// two answers would be the noise, and the value bare. The journal knows c1.
func TestAttackNoiselessRepeat(t *testing.T) {
	o := newOpening(t, hetest.Profiles(t), 2, 16, 1)
	plain := o.release(t, "r", o.answers, releaseDefences{})
	noisy, err := plain.WithNoise(8)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(first, second Journal) error {
		if _, err := noisy.GenShare(o.parties[0], first); err != nil {
			t.Fatal(err)
		}
		_, err := plain.GenShare(o.parties[0], second)
		return err
	}
	// Defence off: every request meets an empty journal.
	if err := ask(&UsedSet{}, &UsedSet{}); err != nil {
		t.Fatalf("without a journal the attack should succeed: %v", err)
	}
	journal := &UsedSet{}
	var used *UsedError
	if err := ask(journal, journal); !errors.As(err, &used) {
		t.Errorf("a second, noiseless request: %v", err)
	}
}
