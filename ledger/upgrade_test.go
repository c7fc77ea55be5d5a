package ledger

import (
	"errors"
	"strings"
	"testing"
)

// A majority sets a height, moves it, and the rules change there and not before.
func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	vote := func(u Upgrade) {
		t.Helper()
		w.must("ann", &u)
		w.must("bob", &u)
	}
	far := func(n int64) int64 { return w.height + n }
	w.refusals(t,
		refusal{"a version after the next", "ann", &Upgrade{3, far(50), "v3"}, WrongState},
		refusal{"no version", "ann", &Upgrade{0, far(50), "v0"}, WrongState},
		refusal{"no height", "ann", &Upgrade{2, 0, "v2"}, Late},
		refusal{"a release of two lines", "ann", &Upgrade{2, far(50), "v2\nv3"}, Malformed},
		refusal{"no release", "ann", &Upgrade{2, far(50), ""}, Malformed},
		refusal{"by a validator", "v1", &Upgrade{2, far(50), "v2"}, Forbidden},
	)
	w.refused(WrongState, "ann", &Upgrade{1, far(50), "v1"})
	w.apply()
	w.refused(Late, "ann", &Upgrade{2, 1, "v2"})
	vote(Upgrade{2, far(100), "v2"})
	at := far(20)
	vote(Upgrade{2, at, "v2.1"})
	if next, ok := NextUpgrade(w.state, w.height); !ok || next != (Upgrade{2, at, "v2.1"}) {
		t.Errorf("the next upgrade is %v, %v", next, ok)
	}
	if u := UpgradeAt(w.state, at-1); u.Version != 1 {
		t.Errorf("before its height: %v", u)
	}
	if u := UpgradeAt(w.state, at); u.Version != 2 {
		t.Errorf("at its height: %v", u)
	}
	if err := Supported(w.state, at-1, 1); err != nil {
		t.Errorf("before its height: %v", err)
	}
	var outdated *OutdatedError
	if err := Supported(w.state, at, 1); !errors.As(err, &outdated) || !strings.Contains(err.Error(), "install v2.1") {
		t.Errorf("at its height: %v", err)
	}
	if err := Supported(w.state, at, 2); err != nil {
		t.Errorf("a program that knows it: %v", err)
	}
	// Who checks a transaction does not know the height of its block.
	if r := Check(w.state, w.now, w.sign("cal", &Upgrade{3, at + 100, "v3"})); r.Code != OK {
		t.Errorf("the one after in the pool: code %d, %s", r.Code, r.Detail)
	}
	w.refused(WrongState, "cal", &Upgrade{3, at + 100, "v3"})
	for w.height < at {
		w.apply()
	}
	vote(Upgrade{3, at + 100, "v3"})
	if u := UpgradeAt(w.state, at+100); u.Version != 3 {
		t.Errorf("the one after: %v", u)
	}
	if _, ok := NextUpgrade(w.state, at+100); ok {
		t.Error("there is a fourth")
	}
}
