// Package hetest makes the insecure profiles that tests run on: the production
// ones with N = 2^10, so that a circuit keeps its depth, its scales and its
// laws and loses only its security. They exist only in test binaries, and
// their digests are never those of a production profile.
package hetest

import (
	"testing"

	"github.com/commonseal/commonseal/he"
)

// LogN of the insecure rings.
const LogN = 10

// Profiles derives the insecure profiles.
func Profiles(tb testing.TB) he.Profiles {
	tb.Helper()
	derive := func(s he.Spec) *he.Profile {
		s.LogN, s.Insecure = LogN, true
		p, err := he.Derive(s)
		if err != nil {
			tb.Fatal(err)
		}
		return p
	}
	return he.Profiles{Train: derive(he.TrainSpec()), Release: derive(he.ReleaseSpec()), Serve: derive(he.ServeSpec())}
}
