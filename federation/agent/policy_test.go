package agent

import (
	"slices"
	"testing"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/ledger"
)

// A job is allowed as far as the policy's bounds go.
func TestPolicyBounds(t *testing.T) {
	s := schema()
	d, err := s.Derivation("x0*x2")
	if err != nil {
		t.Fatal(err)
	}
	s.Derived = append(s.Derived, d)
	task := &ledger.Task{Name: "churn", Schema: s.Append(nil), Columns: 5}
	job := ledger.Job{Steps: 10, LearningRate: replay.FixedRate(0.5), Decay: replay.FixedRate(0.25), Columns: []uint16{1, 4}}
	all := job
	all.Columns = nil
	for _, test := range []struct {
		name   string
		policy TaskPolicy
		job    ledger.Job
		want   bool
	}{
		{"no bounds", TaskPolicy{}, job, true},
		{"no bounds, all columns", TaskPolicy{}, all, true},
		{"at all bounds", TaskPolicy{MaxSteps: 10, MaxRate: 0.5, MaxDecay: 0.25, Columns: []string{"x0", "x0*x2"}}, job, true},
		{"more columns than the job trains", TaskPolicy{Columns: []string{"x2*x0", "x1", "x0"}}, job, true},
		{"all columns by name", TaskPolicy{Columns: []string{"x0", "x1", "x2", "x0*x2"}}, all, true},
		{"few columns enough", TaskPolicy{MinColumns: 2}, job, true},
		{"too few columns", TaskPolicy{MinColumns: 3}, job, false},
		{"all columns, and enough", TaskPolicy{MinColumns: 4}, all, true},
		{"too many steps", TaskPolicy{MaxSteps: 9}, job, false},
		{"too fast", TaskPolicy{MaxRate: 0.4}, job, false},
		{"too strong a decay", TaskPolicy{MaxDecay: 0.2}, job, false},
		{"a column that may not train", TaskPolicy{Columns: []string{"x0", "x1", "x2"}}, job, false},
		{"all columns where some may", TaskPolicy{Columns: []string{"x0", "x1", "x2"}}, all, false},
		{"a column that the task does not have", TaskPolicy{Columns: []string{"x0", "x0*x2", "x9"}}, job, false},
	} {
		p := Policy{Tasks: map[string]TaskPolicy{"churn": test.policy}}
		if got := p.allows(task, &test.job); got != test.want {
			t.Errorf("%s: allowed %v", test.name, got)
		}
	}
	garbled := &ledger.Task{Name: "churn", Schema: []byte("none"), Columns: 5}
	if (Policy{Tasks: map[string]TaskPolicy{"churn": {Columns: []string{"x0"}}}}).allows(garbled, &job) || (Policy{}).allows(task, &job) {
		t.Error("a task without a schema, or none in the policy, is allowed")
	}
}

// A company answers for so many jobs of a task, and for one that it approved to its
// end.
func TestPolicyOfJobs(t *testing.T) {
	w := ready(t, ledger.Quorum, func(c string) Policy {
		p := pooled(c)
		churn := p.Tasks["churn"]
		churn.MaxJobs = 1
		p.Tasks["churn"] = churn
		return p
	})
	first, second := w.openJob(1), w.openJob(2)
	w.until("a model", func() bool { return w.job(first).State == ledger.JobDone || w.job(second).State == ledger.JobDone })
	w.idle()
	for _, c := range companies {
		n := 0
		for _, j := range ledger.Jobs(w.tip) {
			if slices.Contains(j.Approvals, c) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s approved %d jobs", c, n)
		}
	}
}
