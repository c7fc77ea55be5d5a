package federation_test

import (
	"strconv"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

// body is what a transcript calls a transaction.
func (s *stage) body(name string, words []string) ledger.Body {
	task := ledger.TaskID("chain", "churn")
	switch words[0] {
	case "roster":
		return &ledger.OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1}}
	case "commit", "reveal", "ack", "abort":
		return s.ceremonyBody(name, words[0])
	case "task":
		return &ledger.OpenTask{Name: "churn", Epoch: 1, Schema: []byte("schema"), Columns: 3, Nodes: nodes, Quorum: 2}
	case "consent":
		return &ledger.Consent{Task: task, Local: name == "cal", Rows: 10, Validation: 2}
	case "keyset":
		return &ledger.OpenKeySet{Task: task, Packing: ledger.Packing{Width: 4, Baby: 4, Stack: 1}, Rotations: []int32{1}, Stages: []uint16{1}}
	case "rows":
		return contribution(task, name, words[1])
	case "job":
		return &ledger.OpenJob{Task: task, Algorithm: ledger.Logistic, Steps: 1, LearningRate: 1 << 32, Valued: []uint16{1}, Nodes: nodes, Quorum: 2}
	case "approve":
		return &ledger.ApproveJob{Job: s.job().ID}
	case "pause":
		return &ledger.PauseJob{Job: s.job().ID}
	case "cancel":
		return &ledger.AbortJob{Job: s.job().ID}
	case "step":
		return s.step(words[1:])
	case "model":
		return s.model()
	case "values":
		return &ledger.Values{Job: s.job().ID, Shares: s.openings(), Values: []int64{1, 2, 3}}
	case "rank", "unseal":
		return s.ranking(name, words)
	case "close":
		return &ledger.CloseEpoch{Number: number(s.t, words[1])}
	case "settle":
		return &ledger.Settle{Epoch: number(s.t, words[1]), Task: task}
	case "challenge":
		return &ledger.OpenChallenge{Job: s.job().ID, Step: s.number(words[1])}
	case "verdict":
		return &ledger.Verdict{Job: s.job().ID, Step: s.number(words[1]), Wrong: words[2] == "wrong"}
	case "lapse":
		return &ledger.Lapse{Job: s.job().ID, Step: s.number(words[1])}
	case "serve":
		return &ledger.Serve{Model: s.job().Model, PairKey: digest("pair", name)}
	}
	s.t.Fatalf("what does %s say with %q?", name, words)
	return nil
}

func number(t *testing.T, word string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ranking is a company's of the only model in an epoch: its commitment, or itself.
func (s *stage) ranking(name string, words []string) ledger.Body {
	r := &ledger.RevealRanking{Task: ledger.TaskID("chain", "churn"), Epoch: number(s.t, words[1]), Salt: digest("salt", name),
		Weights: []ledger.Weight{{Model: s.job().Model, Part: 1}}}
	if words[0] == "unseal" {
		return r
	}
	return &ledger.CommitRanking{Task: r.Task, Epoch: r.Epoch, Hash: ledger.RankingHash("chain", name, r)}
}

// ceremonyBody is a message of the ceremony that is under way.
func (s *stage) ceremonyBody(name, what string) ledger.Body {
	open := ledger.Ceremonies(s.state)
	if len(open) == 0 {
		s.t.Fatal("no ceremony is under way")
	}
	y := open[0]
	switch what {
	case "commit":
		return &ledger.Commit{Ceremony: y.ID, Stage: y.Stage, Promise: []byte("promise of " + name)}
	case "reveal":
		return &ledger.Reveal{Ceremony: y.ID, Stage: y.Stage, Inline: []byte("part of " + name)}
	case "ack":
		return &ledger.KeyAck{Ceremony: y.ID, Keys: digest("keys")}
	default:
		return &ledger.AbortCeremony{Ceremony: y.ID, Cause: "late"}
	}
}

func contribution(task ledger.Digest, company, use string) ledger.Body {
	x := &ledger.Contribute{Task: task, Use: ledger.Training, Rows: 10, Commitment: digest("rows", company, use)}
	if use == "validation" {
		x.Use, x.Rows = ledger.Validation, 2
	}
	if company == "cal" {
		return x
	}
	x.Manifest, x.Bytes, x.Blocks = digest("manifest", company, use), 100, 1
	for _, n := range nodes {
		x.Held = append(x.Held, ledger.SignHeld(n, task, company, x.Manifest, x.Bytes, private(n)))
	}
	return x
}

func shares() (out []ledger.Digest) {
	for _, c := range companies {
		out = append(out, digest("share", c))
	}
	return out
}

// openings are the companies' shares of the release of the job's values.
func (s *stage) openings() (out [][]byte) {
	j := s.job()
	p := ledger.Post{Chain: "chain", Epoch: 1, Profile: digest("release"), Scope: j.ID, Kind: ledger.PostOpening, Step: j.Step, Size: 1}
	if t, ok := ledger.TicketOf(s.state, j.ID, j.Step); ok {
		p.Previous = t.Record
	}
	for _, c := range companies {
		p.Blob = digest("opening", c)
		out = append(out, p.Sign(private(c)).Append(nil))
	}
	return out
}

func (s *stage) number(word string) uint16 {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		s.t.Fatal(err)
	}
	return uint16(n)
}

// step is a record of the next step; another word after it is another result.
func (s *stage) step(words []string) ledger.Body {
	j := s.job()
	n := s.number(words[0])
	r := &ledger.StepRecord{Job: j.ID, Step: n, Previous: j.Last, Inputs: []ledger.Digest{digest("input", words)}, C1s: []ledger.Digest{digest("c1", words)}}
	if n == 0 {
		return r
	}
	r.Shares = shares()
	for i := range uint16(2) { // cal's updates, of training and of validation rows
		p := ledger.Post{Chain: "chain", Epoch: 1, Profile: digest("train"), Scope: j.ID, Kind: ledger.PostUpdate, Step: n, Index: i, Blob: digest("update", i), Size: 1}
		r.Updates = append(r.Updates, p.Sign(private("cal")).Append(nil))
	}
	return r
}

func (s *stage) model() ledger.Body {
	j := s.job()
	return &ledger.ModelRecord{Job: j.ID, Previous: j.Last, Shares: shares(), State: digest("state"), Remainder: digest("remainder"), Values: digest("values"), C1: digest("c1 of values")}
}
