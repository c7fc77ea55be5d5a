package ledger

import "slices"

// A Ranking is how a company weighs the models of a task in a reward epoch:
// committed while the epoch is open, revealed in the one after it, so that
// nobody copies another's (INCENTIVES §1).
type Ranking struct {
	Hash    Digest // of what is revealed
	Stake   uint64 // of the company when it committed
	Weights []Weight
	Open    bool // revealed
}

// A Weight is one model's part of a ranking.
type Weight struct {
	Model Digest
	Part  uint16 // of the sum of all
}

// MaxRanked bounds the models of one ranking.
const MaxRanked = 64

// maxTasks bounds the tasks that share one reward epoch's pot.
const maxTasks = 64

func (r *Ranking) code(c *coder) {
	c.digest(&r.Hash)
	c.u64(&r.Stake)
	list(c, &r.Weights, MaxRanked, func(w *Weight) { w.code(c) })
	c.flag(&r.Open)
}

func (w *Weight) code(c *coder) {
	c.digest(&w.Model)
	c.u16(&w.Part)
}

// RankingHash is what a company commits to: nobody else's words, of another
// epoch or task, have it.
func RankingHash(chain, company string, x *RevealRanking) Digest {
	return Hash("ranking", []byte(chain), []byte(company), appendCoded(nil, x))
}

// CommitRanking commits to a ranking of a task's models in the open epoch.
type CommitRanking struct {
	Task  Digest
	Epoch uint64
	Hash  Digest
}

func (*CommitRanking) kind() kind { return 30 }
func (x *CommitRanking) code(c *coder) {
	c.digest(&x.Task)
	c.u64(&x.Epoch)
	c.digest(&x.Hash)
}

func (x *CommitRanking) apply(s *state, from sender) Result {
	t, ok := TaskOf(s, x.Task)
	if !ok {
		return refuse(Unknown, "no task %x", x.Task[:6])
	}
	if _, ok := t.ConsentOf(from.name); !ok {
		return refuse(Forbidden, "%s has not consented to task %s; those who have rank its models", from.name, t.Name)
	}
	open, ok := CurrentReward(s)
	if !ok || open.Number != x.Epoch {
		return refuse(WrongState, "reward epoch %d is not open", x.Epoch)
	}
	at := key(keyRanking, x.Epoch, x.Task, from.name)
	if had, ok := load[Ranking](s, at); ok {
		if had.Hash == x.Hash {
			return refuse(Replayed, "committed already")
		}
		return refuse(Conflict, "%s has committed to another ranking", from.name)
	}
	if !slices.Contains(open.Tasks, x.Task) {
		if len(open.Tasks) == maxTasks {
			return refuse(OverLimit, "%d tasks share reward epoch %d, all that may; rank in the next", maxTasks, open.Number)
		}
		open.Tasks = append(open.Tasks, x.Task)
		s.put([]byte(keyRewardNow), open)
	}
	s.put(at, &Ranking{Hash: x.Hash, Stake: s.account(from.name).Stake})
	return Result{}
}

// RevealRanking opens a ranking that was committed to in the epoch before.
type RevealRanking struct {
	Task    Digest
	Epoch   uint64
	Weights []Weight // by model, each once, with a part
	Salt    Digest
}

func (*RevealRanking) kind() kind { return 31 }
func (x *RevealRanking) code(c *coder) {
	c.digest(&x.Task)
	c.u64(&x.Epoch)
	list(c, &x.Weights, MaxRanked, func(w *Weight) { w.code(c) })
	c.digest(&x.Salt)
}

func (x *RevealRanking) apply(s *state, from sender) Result {
	open, ok := CurrentReward(s)
	if !ok || open.Number != x.Epoch+1 {
		return refuse(WrongState, "rankings of reward epoch %d are revealed in the next", x.Epoch)
	}
	at := key(keyRanking, x.Epoch, x.Task, from.name)
	r, ok := load[Ranking](s, at)
	switch {
	case !ok:
		return refuse(WrongState, "%s has not committed to a ranking in epoch %d", from.name, x.Epoch)
	case r.Open:
		return refuse(Replayed, "revealed already")
	case r.Hash != RankingHash(s.genesis.Chain, from.name, x) && s.on(sealedRanks):
		return refuse(Conflict, "this is not what %s committed to", from.name)
	}
	for i, w := range x.Weights {
		m, ok := ModelOf(s, w.Model)
		switch {
		case !ok || m.Task != x.Task:
			return refuse(Unknown, "no model %x of the task", w.Model[:6])
		case w.Part == 0 || i > 0 && string(x.Weights[i-1].Model[:]) >= string(w.Model[:]):
			return refuse(Malformed, "weights are by model, each once, and none is nothing")
		}
	}
	r.Weights, r.Open = x.Weights, true
	s.put(at, r)
	return Result{}
}

// RankingOf is how a company ranked a task's models in an epoch.
func RankingOf(v View, epoch uint64, task Digest, company string) (*Ranking, bool) {
	return load[Ranking](v, key(keyRanking, epoch, task, company))
}
