// Package report puts what a ledger says on one page, for people and for programs:
// everything in it follows from the state and is in the JSON beside the HTML.
package report

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/audit"
)

// A Report is one page.
type Report struct {
	Chain         string         `json:"chain"`
	Fingerprint   string         `json:"fingerprint"` // of the genesis file
	Height        int64          `json:"height"`
	Root          string         `json:"root"` // of state and log after it
	Transactions  uint64         `json:"transactions"`
	Provenance    string         `json:"provenance"`
	Members       []Member       `json:"members"`
	Stakes        []Stake        `json:"stakes"`
	Contributions []Contribution `json:"contributions"`
	Jobs          []Job          `json:"jobs"`
	Epochs        []Epoch        `json:"reward_epochs"`
	Earned        []Earned       `json:"earned"`
	Releases      []Releases     `json:"releases"`
	Challenges    []Challenge    `json:"challenges"`
	Supply        uint64         `json:"supply"`
	Credits       uint64         `json:"credits"` // wherever they are: the supply
}

// A Member is on the ledger.
type Member struct {
	Name    string   `json:"name"`
	Owner   string   `json:"owner"`
	Roles   []string `json:"roles"`
	Revoked bool     `json:"revoked"`
}

// A Stake is a legal entity's, of all its members.
type Stake struct {
	Owner string `json:"owner"`
	Stake uint64 `json:"stake"`
	Part  string `json:"part"` // of all stake, in percent
}

// A Contribution is one company's rows in one task.
type Contribution struct {
	Task    string `json:"task"`
	Company string `json:"company"`
	Rows    uint32 `json:"rows"`
	Valued  uint32 `json:"validation_rows"`
	Bytes   uint64 `json:"bytes"` // of ciphertexts; 0 of rows that stay at home
}

// A Job is a training run, and the chance of what its checks would miss: of steps.
// The model's record has none where anything is sampled.
type Job struct {
	ID       string    `json:"job"`
	Task     string    `json:"task"`
	Peer     string    `json:"peer"`
	State    string    `json:"state"`
	Steps    uint16    `json:"steps"` // rounds that compare companies included
	Recorded uint16    `json:"recorded_steps"`
	Model    string    `json:"model,omitempty"`
	Refuted  bool      `json:"refuted"`
	Sampled  []uint16  `json:"sampled_steps"`
	Checked  bool      `json:"model_record_checked"` // whatever is sampled
	Survives []Chances `json:"survives"`
}

// Chances is how likely nobody samples any of so many wrong steps.
type Chances struct {
	Wrong   int    `json:"wrong_steps"`
	Percent string `json:"percent"`
}

// An Epoch is a settled task of a reward epoch.
type Epoch struct {
	Epoch  uint64     `json:"epoch"`
	Task   string     `json:"task"`
	Pot    uint64     `json:"pot"`
	Paid   audit.Paid `json:"paid"`
	Capped []string   `json:"capped_owners"`
}

// An Earned is what one member got in all settlements.
type Earned struct {
	Member string       `json:"member"`
	Payout audit.Payout `json:"payout"`
	Total  uint64       `json:"total"`
}

// A Releases is a key epoch's budget of opened values.
type Releases struct {
	KeyEpoch uint32 `json:"key_epoch"`
	Opened   uint32 `json:"opened"`
	Allowed  uint32 `json:"allowed"`
}

// A Challenge is what became of one.
type Challenge struct {
	Job     string `json:"job"`
	Step    uint16 `json:"step"`
	By      string `json:"by"`
	Outcome string `json:"outcome"`
}

// Of gathers the report of a state.
func Of(v ledger.View, roleNames func(ledger.Roles) []string) Report {
	g := ledger.GenesisOf(v)
	r := Report{Chain: g.Chain, Provenance: g.Mode.String(), Supply: ledger.Supply(v), Credits: ledger.Credits(v)}
	names := map[ledger.Digest]string{}
	for _, t := range ledger.Tasks(v) {
		names[t.ID] = t.Name
		r.contributions(v, &t)
	}
	r.members(v, roleNames)
	for _, j := range ledger.Jobs(v) {
		r.Jobs = append(r.Jobs, job(v, &j, names[j.Task]))
	}
	r.rewards(v, names)
	for n := uint32(1); ; n++ {
		e, ok := ledger.EpochOf(v, n)
		if !ok {
			break
		}
		r.Releases = append(r.Releases, Releases{n, e.Releases, g.Releases})
	}
	for _, x := range ledger.Challenges(v) {
		outcome := map[ledger.Decision]string{ledger.Undecided: "undecided", ledger.Upheld: "upheld: the step is wrong", ledger.Rejected: "rejected: the step is right", ledger.Lapsed: "lapsed: no majority in time"}
		r.Challenges = append(r.Challenges, Challenge{short(x.Job), x.Step, x.By, outcome[x.Decided]})
	}
	return r
}

func (r *Report) members(v ledger.View, roleNames func(ledger.Roles) []string) {
	stakes, total := map[string]uint64{}, uint64(0)
	for _, m := range ledger.Members(v) {
		r.Members = append(r.Members, Member{m.Name, m.Owner, roleNames(m.Roles), m.Revoked})
		stake := ledger.AccountOf(v, m.Name).Stake
		stakes[m.Owner], total = stakes[m.Owner]+stake, total+stake
	}
	for _, m := range r.Members {
		if s := stakes[m.Owner]; s > 0 {
			r.Stakes = append(r.Stakes, Stake{m.Owner, s, fmt.Sprintf("%.2f", 100*float64(s)/float64(total))})
			delete(stakes, m.Owner)
		}
	}
}

func (r *Report) contributions(v ledger.View, t *ledger.Task) {
	for _, x := range t.Consents {
		c, ok := ledger.ContributionOf(v, t.ID, ledger.Training, x.Company)
		if !ok {
			continue
		}
		out := Contribution{Task: t.Name, Company: x.Company, Rows: c.Rows, Bytes: c.Bytes}
		if val, ok := ledger.ContributionOf(v, t.ID, ledger.Validation, x.Company); ok {
			out.Valued, out.Bytes = val.Rows, out.Bytes+val.Bytes
		}
		r.Contributions = append(r.Contributions, out)
	}
}

func job(v ledger.View, j *ledger.Job, task string) Job {
	out := Job{ID: short(j.ID), Task: task, Peer: j.Opener, State: j.State.String(), Steps: j.End(), Recorded: min(j.Step, j.End()), Sampled: j.Sampled(ledger.MoneyOf(v).Sample), Survives: []Chances{}}
	out.Checked = len(out.Sampled) > 0
	if m, ok := ledger.ModelOf(v, j.Model); ok {
		out.Model, out.Refuted = short(m.ID), m.Refuted
	}
	steps := int(j.End())
	if j.State != ledger.JobDone {
		return out // nothing is drawn yet
	}
	for _, wrong := range slices.Compact([]int{1, max(1, (steps+9)/10), max(1, (steps+1)/2)}) {
		out.Survives = append(out.Survives, Chances{wrong, percentOf(checker.Survives(int64(steps), int64(wrong), int64(len(out.Sampled))))})
	}
	return out
}

func percentOf(p *big.Rat) string { return new(big.Rat).Mul(p, big.NewRat(100, 1)).FloatString(2) }

func (r *Report) rewards(v ledger.View, names map[ledger.Digest]string) {
	earned := map[string]audit.Payout{}
	for _, st := range ledger.Settlements(v) {
		e := Epoch{Epoch: st.Epoch, Task: names[st.Task], Pot: st.Pot, Paid: audit.Paid(st.Paid)}
		for _, c := range st.Companies {
			if c.Counted < c.Stake {
				e.Capped = append(e.Capped, c.Owner)
			}
		}
		r.Epochs = append(r.Epochs, e)
		for _, m := range ledger.Members(v) {
			p, ok := ledger.PayoutOf(v, st.Epoch, st.Task, m.Name)
			if !ok {
				continue
			}
			sum := earned[m.Name]
			earned[m.Name] = audit.Payout{Operator: sum.Operator + p.Operator, Evaluator: sum.Evaluator + p.Evaluator, Peer: sum.Peer + p.Peer,
				Provider: sum.Provider + p.Provider, Debit: sum.Debit + p.Debit, Owed: sum.Owed + p.Owed}
		}
	}
	for _, m := range r.Members {
		if p, ok := earned[m.Name]; ok {
			r.Earned = append(r.Earned, Earned{m.Name, p, p.Operator + p.Evaluator + p.Peer + p.Provider})
		}
	}
}

func short(d ledger.Digest) string { return fmt.Sprintf("%x", d[:6]) }
