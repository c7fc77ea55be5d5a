package multiparty

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/hetest"
)

func TestSecretsSurviveTheStore(t *testing.T) {
	ps := hetest.Profiles(t)
	for _, c := range found(t, ps, 3) {
		sealed := c.Secrets().Append([]byte("prefix"))
		got, err := ParseSecrets(sealed[len("prefix"):], ps.Train, ps.Release)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c.Secrets()) {
			t.Errorf("party %d has other secrets after a restart", got.Index)
		}
	}
}

func TestParseSecretsRefuses(t *testing.T) {
	ps := hetest.Profiles(t)
	s := newSecrets(1, he.Seed{1}, ps.Train, ps.Release)
	good := s.Append(nil)
	refused := func(name string, b []byte, train, release *he.Profile) {
		t.Helper()
		got, err := ParseSecrets(b, train, release)
		if err == nil || got != nil {
			t.Errorf("%s was accepted", name)
		} else if strings.Contains(err.Error(), fmt.Sprintf("%x", good[5:9])) {
			t.Errorf("%s: the error %q shows the seed", name, err)
		}
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		refused(fmt.Sprintf("a change of byte %d", i), b, ps.Train, ps.Release)
	}
	b := bytes.Clone(good)
	b[4] = he.MaxParties
	refused("an index that is none", b, ps.Train, ps.Release)
	refused("nothing", nil, ps.Train, ps.Release)
	refused("a byte too few", good[:len(good)-1], ps.Train, ps.Release)
	refused("a byte too many", append(bytes.Clone(good), 0), ps.Train, ps.Release)
	refused("another profile", good, ps.Train, ps.Serve)
	refused("profiles the wrong way round", good, ps.Release, ps.Train)

	foreign := *s
	foreign.Train = he.NewSecretKey(ps.Train, he.Seed{2}.Stream("foreign"))
	refused("a secret that is not of its seed", foreign.Append(nil), ps.Train, ps.Release)
}

func FuzzParseSecrets(f *testing.F) {
	ps := hetest.Profiles(f)
	good := newSecrets(1, he.Seed{1}, ps.Train, ps.Release).Append(nil)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSecrets(b, ps.Train, ps.Release); err == nil && !bytes.Equal(s.Append(nil), b) {
			t.Errorf("%x is accepted and encodes otherwise", b)
		}
	})
}
