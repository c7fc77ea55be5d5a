package agent

import (
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// TestLife is all that agents do, in order: keys, contributions, a job, its
// values, and a model that is served.
func TestLife(t *testing.T) {
	for _, mode := range []ledger.Mode{ledger.Quorum, ledger.Strict} {
		t.Run(mode.String(), func(t *testing.T) {
			w := brought(t, mode, oneLocal)
			id := w.openJob(2)
			w.until("model", func() bool { return w.job(id).State == ledger.JobDone })
			w.until("values", func() bool { m, _ := ledger.ModelOf(w.tip, w.job(id).Model); return len(m.Opened) == len(companies) })
			w.until("served", func() bool { m, _ := ledger.ModelOf(w.tip, w.job(id).Model); return m.Served() })
			w.idle()
			for _, c := range companies {
				if a := w.agents[c]; len(a.Serves()) != 1 || len(a.Refused()) != 0 || len(a.outbox) != 0 || len(a.jobs) != 0 || len(a.making) != 0 {
					t.Errorf("%s serves %d, refuses %v, has %d letters, %d jobs, %d ceremonies", c, len(a.Serves()), a.Refused(), len(a.outbox), len(a.jobs), len(a.making))
				}
			}
			t.Log(w.codes)
		})
	}
}
