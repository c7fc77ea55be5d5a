package federation

import (
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// NodeDuties are what aggregator me owes at block time now, most urgent first.
func NodeDuties(v ledger.View, me string, now int64, has Holding) []Duty {
	var out []Duty
	for _, j := range ledger.Jobs(v) {
		if slices.Contains(j.Nodes, me) {
			out = append(out, nodeJob(v, &j, me, now, has)...)
		}
	}
	return slices.DeleteFunc(out, func(d Duty) bool { return has.Done(d.Key()) })
}

// nodeJob are a node's duties in one job.
func nodeJob(v ledger.View, j *ledger.Job, me string, now int64, has Holding) []Duty {
	var out []Duty
	parties := roster(v, j)
	switch {
	case j.State == ledger.JobDone:
		m, _ := ledger.ModelOf(v, j.Model)
		_, said := ledger.ValuesOf(v, j.ID, me)
		if m.Values != (ledger.Digest{}) && !said && sharesIn(v, has, j.ID, ledger.PostOpening, j.Step, parties) {
			out = append(out, OpenValues{j.ID})
		}
		return out
	case !j.State.Works():
		return nil
	case now > j.Deadline && j.State != ledger.JobPaused:
		out = append(out, Pause{j.ID, j.Step})
	}
	ready := true
	for _, s := range unfinished(j, has) {
		if !sharesIn(v, has, j.ID, ledger.PostShare, s, parties) {
			ready = false
			continue
		}
		out = append(out, Finish{j.ID, s})
		ready = false
	}
	switch {
	case !ready:
	case j.Step > j.End():
		if _, said := ledger.ModelRecordOf(v, j.ID, me); !said {
			out = append(out, Conclude{j.ID})
		}
	default:
		if _, said := ledger.StepOf(v, j.ID, j.Step, me); !said && updatesIn(v, has, j) {
			out = append(out, Record{j.ID, j.Step})
		}
	}
	return out
}

// unfinished are the steps whose shares a node needs to have added up: the one
// before the next, and those that are valued.
func unfinished(j *ledger.Job, has Holding) (out []uint16) {
	for s := range j.Step {
		if (s+1 == j.Step || j.IsValued(s)) && !has.Done(Finish{j.ID, s}.Key()) {
			out = append(out, s)
		}
	}
	return out
}

// roster are the key holders of a job.
func roster(v ledger.View, j *ledger.Job) []string {
	t, _ := ledger.TaskOf(v, j.Task)
	e, _ := ledger.EpochOf(v, t.Epoch)
	return e.Parties
}

// sharesIn says whether every party's share of a step is held.
func sharesIn(v ledger.View, has Holding, job ledger.Digest, kind ledger.PostKind, step uint16, parties []string) bool {
	for _, p := range parties {
		m, _ := ledger.MemberOf(v, p)
		if _, ok := has.Post(job, kind, step, 0, m.Signing); !ok {
			return false
		}
	}
	return true
}

// An Owed is one update that a local company owes for a step.
type Owed struct {
	Company string
	Index   uint16 // 0: of training rows, 1: of validation rows
}

// Updates are the updates that step of a job takes, in roster order.
func Updates(v ledger.View, j *ledger.Job, step uint16) (out []Owed) {
	t, _ := ledger.TaskOf(v, j.Task)
	for _, x := range t.Consents {
		if !x.Local || step == 0 || step > j.Steps {
			continue
		}
		out = append(out, Owed{x.Company, 0})
		if j.IsValued(step) && x.Validation > 0 {
			out = append(out, Owed{x.Company, 1})
		}
	}
	return out
}

// updatesIn says whether all of them are held for the next step.
func updatesIn(v ledger.View, has Holding, j *ledger.Job) bool {
	for _, u := range Updates(v, j, j.Step) {
		m, _ := ledger.MemberOf(v, u.Company)
		if _, ok := has.Post(j.ID, ledger.PostUpdate, j.Step, u.Index, m.Signing); !ok {
			return false
		}
	}
	return true
}

// NodeScopes are what aggregator me pulls posts of from its peers: ceremonies
// whose keys it needs, tasks it is a node of, jobs of its own.
func NodeScopes(v ledger.View, me string) (out []ledger.Digest) {
	ceremonies := map[ledger.Digest]bool{}
	add := func(id ledger.Digest) {
		if !ceremonies[id] {
			ceremonies[id] = true
			out = append(out, id)
		}
	}
	for _, y := range ledger.Ceremonies(v) {
		add(y.ID)
	}
	for _, t := range ledger.Tasks(v) {
		if !slices.Contains(t.Nodes, me) {
			continue
		}
		if e, ok := ledger.EpochOf(v, t.Epoch); ok {
			add(e.Ceremony)
		}
		if t.KeySet != (ledger.Digest{}) {
			add(t.KeySet)
		}
		out = append(out, t.ID)
	}
	for _, j := range ledger.Jobs(v) {
		if slices.Contains(j.Nodes, me) && j.State != ledger.JobAborted {
			out = append(out, j.ID)
		}
	}
	return out
}
