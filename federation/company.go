package federation

import (
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// A Trust is what a company asks for beside a ticket.
type Trust struct {
	Nodes []string // one of which is among a ticket's recorders; none: any
}

// CompanyDuties are what company me owes at block time now, most urgent first.
// Whether its policy allows what a duty is about the driver asks.
func CompanyDuties(v ledger.View, me string, now int64, trust Trust, has Holding) []Duty {
	out := ceremonyDuties(v, me, now)
	for _, t := range ledger.Tasks(v) {
		out = append(out, taskDuties(v, &t, me)...)
	}
	for _, j := range ledger.Jobs(v) {
		if slices.Contains(roster(v, &j), me) {
			out = append(out, jobDuties(v, &j, me, trust, has)...)
		}
	}
	for _, m := range ledger.Models(v) {
		if slices.Contains(m.Waiting, me) {
			out = append(out, Serve{m.ID})
		}
	}
	out = append(out, rewardDuties(v, me, now, has)...)
	return slices.DeleteFunc(out, func(d Duty) bool { return has.Done(d.Key()) })
}

// ceremonyDuties make keys.
func ceremonyDuties(v ledger.View, me string, now int64) (out []Duty) {
	base := false
	for _, y := range ledger.Ceremonies(v) {
		base = base || y.Task == (ledger.Digest{})
		switch {
		case !slices.Contains(y.Parties, me):
		case now > y.Deadline:
			out = append(out, AbortLate{y.ID})
		case !slices.Contains(y.Waiting, me):
		case y.State == ledger.Committing:
			out = append(out, CommitStage{y.ID, y.Stage})
		case y.State == ledger.Revealing:
			out = append(out, RevealStage{y.ID, y.Stage})
		case y.State == ledger.Acknowledging:
			out = append(out, Acknowledge{y.ID})
		}
	}
	if _, ok := ledger.CurrentEpoch(v); !ok && !base {
		var parties []string
		for _, m := range ledger.Members(v) {
			if m.Roles.Has(ledger.Company) && !m.Revoked {
				parties = append(parties, m.Name)
			}
		}
		if slices.Contains(parties, me) {
			out = append(out, OpenRoster{Epoch: 1, Attempt: ledger.Attempts(v, 1) + 1, Parties: parties})
		}
	}
	return out
}

// taskDuties join a task and bring rows.
func taskDuties(v ledger.View, t *ledger.Task, me string) (out []Duty) {
	e, ok := ledger.EpochOf(v, t.Epoch)
	if !ok || !slices.Contains(e.Parties, me) {
		return nil
	}
	mine, consented := t.ConsentOf(me)
	switch {
	case !consented:
		out = append(out, Consent{t.ID})
	case t.State == ledger.TaskConsented:
		if y, ok := ledger.CeremonyOf(v, ledger.KeySetCeremony(t.ID, t.Attempt)); !ok || y.Over() {
			out = append(out, OpenKeySet{t.ID, t.Attempt + 1})
		}
	case t.State == ledger.TaskReady:
		for _, use := range []ledger.ContributionKind{ledger.Training, ledger.Validation} {
			rows := mine.Rows
			if use == ledger.Validation {
				rows = mine.Validation
			}
			if _, ok := ledger.ContributionOf(v, t.ID, use, me); !ok && rows > 0 {
				out = append(out, Contribute{t.ID, use})
			}
		}
	}
	return out
}

// jobDuties train.
func jobDuties(v ledger.View, j *ledger.Job, me string, trust Trust, has Holding) (out []Duty) {
	switch {
	case j.State == ledger.JobOpen && !slices.Contains(j.Approvals, me):
		return []Duty{Approve{j.ID}}
	case j.State == ledger.JobDone:
		m, ok := ledger.ModelOf(v, j.Model)
		if _, opens := ledger.TicketOf(v, j.ID, j.Step); ok && opens && !m.Refuted {
			out = append(out, Opening{j.ID})
		}
		return out
	case !j.State.Works():
		return nil
	}
	out = shareDuty(v, j, me, trust, has)
	for _, u := range Updates(v, j, j.Step) {
		if u.Company != me || j.Step > j.Steps {
			continue
		}
		if point, ok := signedPoint(v, j, has); ok {
			out = append(out, Update{j.ID, j.Step, point})
		}
		break
	}
	return out
}

// shareDuty answers the last ticket of a job's steps. What came before it was
// answered, or the step would not have been reached.
func shareDuty(v ledger.View, j *ledger.Job, me string, trust Trust, has Holding) []Duty {
	if j.Step == 0 {
		return nil
	}
	s := j.Step - 1
	if _, ok := ledger.TicketOf(v, j.ID, s); !ok || !trusted(v, j, s, trust) {
		return nil
	}
	if witness := (Witness{j.ID, s}); ledger.GenesisOf(v).Mode == ledger.Strict && !has.Done(witness.Key()) {
		return []Duty{witness}
	}
	return []Duty{Share{j.ID, s}}
}

// trusted says whether a node of the holder's choice is among the recorders of
// a ticket.
func trusted(v ledger.View, j *ledger.Job, step uint16, trust Trust) bool {
	if len(trust.Nodes) == 0 {
		return true
	}
	t, _ := ledger.TicketOf(v, j.ID, step)
	return slices.ContainsFunc(trust.Nodes, func(n string) bool {
		r, ok := ledger.StepOf(v, j.ID, step, n)
		return ok && r.Digest() == t.Record
	})
}

// signedPoint is the point that the step before left, as nodes of a quorum of
// owners signed it.
func signedPoint(v ledger.View, j *ledger.Job, has Holding) (ledger.Digest, bool) {
	owners := map[ledger.Digest]map[string]bool{}
	for _, n := range j.Nodes {
		m, _ := ledger.MemberOf(v, n)
		p, ok := has.Post(j.ID, ledger.PostOutput, j.Step-1, 0, m.Signing)
		if !ok || m.Revoked {
			continue
		}
		if owners[p.Blob] == nil {
			owners[p.Blob] = map[string]bool{}
		}
		owners[p.Blob][m.Owner] = true
		if len(owners[p.Blob]) >= int(j.Quorum) {
			return p.Blob, true
		}
	}
	return ledger.Digest{}, false
}

// CompanyScopes are what company me pulls posts of from nodes: ceremonies it is
// a party of, and jobs it computes for.
func CompanyScopes(v ledger.View, me string) (out []ledger.Digest) {
	for _, y := range ledger.Ceremonies(v) {
		if slices.Contains(y.Parties, me) {
			out = append(out, y.ID)
		}
	}
	for _, j := range ledger.Jobs(v) {
		t, _ := ledger.TaskOf(v, j.Task)
		if mine, ok := t.ConsentOf(me); ok && mine.Local && j.State.Works() {
			out = append(out, j.ID)
		}
	}
	return out
}
