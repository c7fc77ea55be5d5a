package ledger

import "slices"

// ReplaceNode puts another aggregator in the place of one that does not return,
// or of one that recorded something else. It takes every key holder's word.
type ReplaceNode struct {
	Job      Digest
	Old, New string
}

func (*ReplaceNode) kind() kind { return 21 }
func (n *ReplaceNode) code(c *coder) {
	c.digest(&n.Job)
	c.name(&n.Old)
	c.name(&n.New)
}

func (n *ReplaceNode) apply(s *state, from sender) Result {
	j, e, r := s.held(n.Job, from)
	switch {
	case r.Code != OK:
		return r
	case !slices.Contains(j.Nodes, n.Old) || slices.Contains(j.Nodes, n.New):
		return refuse(WrongState, "%s is no node of job %x, or %s is one", n.Old, n.Job[:6], n.New)
	}
	if _, ok := j.State.Moves(Replaced); !ok {
		return refuse(WrongState, "job %x is in state %d; nodes are replaced when it is paused, disputed or done", n.Job[:6], j.State)
	}
	nodes := append(slices.DeleteFunc(slices.Clone(j.Nodes), func(x string) bool { return x == n.Old }), n.New)
	slices.Sort(nodes)
	if r := s.checkReplaced(nodes, n.New, j.Quorum); r.Code != OK {
		return r
	}
	at := key(keyVotes, Hash("replace", appendCoded(nil, n), key("", j.Step)))
	votes, ok := load[Votes](s, at)
	if !ok {
		votes = &Votes{Opened: s.now}
	}
	if slices.Contains(votes.Owners, from.name) {
		return refuse(Replayed, "%s has said so already", from.name)
	}
	votes.Owners = append(votes.Owners, from.name)
	if len(votes.Owners) < len(e.Parties) {
		s.put(at, votes)
		return Result{}
	}
	s.delete(at)
	j.Nodes = nodes
	return s.replaced(j, e, n.Old)
}

// replaced drops what a former node said that is not settled yet, and goes on: those
// that are left may agree.
func (s *state) replaced(j *Job, e *KeyEpoch, old string) Result {
	if j.State == JobDone {
		s.put(key(keyJob, j.ID), j) // its deadline stays: windows of challenges are counted from it
		at := key(keyValueVote, j.ID, old)
		m, _ := ModelOf(s, j.Model)
		if x, ok := load[Values](s, at); ok && (len(m.Opened) == 0 || x.Digest() != m.Record) {
			s.delete(at)
		}
		return Result{}
	}
	if r := s.move(j, Replaced); r.Code != OK {
		return r
	}
	if j.Step > j.End() {
		s.delete(key(keyModelVote, j.ID, old))
		t, _ := TaskOf(s, j.Task)
		return s.conclude(j, t, e)
	}
	s.delete(key(keyStep, j.ID, j.Step, old))
	return s.settle(j)
}

// checkReplaced holds the nodes of a job to its quorum after one was replaced.
// Others of them may be revoked: they are replaced one by one.
func (s *state) checkReplaced(nodes []string, newcomer string, quorum uint8) Result {
	if m, ok := MemberOf(s, newcomer); !ok || m.Revoked || !m.Roles.Has(Aggregator) {
		return refuse(Forbidden, "%s is no aggregator, or was revoked", newcomer)
	}
	owners := map[string]bool{}
	for _, n := range nodes {
		m, _ := MemberOf(s, n)
		owners[m.Owner] = true
	}
	if len(owners) < int(quorum) {
		return refuse(OverLimit, "nodes of %d different owners would be left; a quorum of %d takes as many", len(owners), quorum)
	}
	return Result{}
}
