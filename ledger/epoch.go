package ledger

// A RewardEpoch is a period of accounting. Rankings of epoch n are committed while
// it is open, revealed in n+1, and settled, task by task, when n+1 has closed.
type RewardEpoch struct {
	Number uint64
	Opened int64    // block time
	Closed int64    // 0: it is open
	Tasks  []Digest // whose models were ranked
}

func (e *RewardEpoch) code(c *coder) {
	c.u64(&e.Number)
	c.i64(&e.Opened)
	c.i64(&e.Closed)
	c.digests(&e.Tasks, maxTasks)
}

// CloseEpoch ends a reward epoch when its time has come. Anybody may.
type CloseEpoch struct{ Number uint64 }

func (*CloseEpoch) kind() kind      { return 25 }
func (x *CloseEpoch) code(c *coder) { c.u64(&x.Number) }

func (x *CloseEpoch) apply(s *state, _ sender) Result {
	open, ok := CurrentReward(s)
	if !ok { // the first one begins with the first transaction about it
		open = &RewardEpoch{Number: 1, Opened: s.now}
		if x.Number == 0 {
			s.put([]byte(keyRewardNow), open)
			return Result{}
		}
	}
	switch {
	case x.Number != open.Number:
		return refuse(WrongState, "reward epoch %d; %d is open", x.Number, open.Number)
	case s.now < open.Opened+s.genesis.RewardEpoch:
		return refuse(WrongState, "reward epoch %d ends at %d", open.Number, open.Opened+s.genesis.RewardEpoch)
	}
	open.Closed = s.now
	s.put(key(keyReward, open.Number), open)
	s.put([]byte(keyRewardNow), &RewardEpoch{Number: open.Number + 1, Opened: s.now})
	s.fill(Digest{}, s.mint(s.money().emission(open.Number)))
	s.share(open.Number - 1)
	return Result{}
}

// emission is what a reward epoch makes: half as much after every Halving epochs.
func (m *Money) emission(epoch uint64) uint64 {
	if m.Halving == 0 {
		return m.Emission
	}
	return m.Emission >> min(63, (epoch-1)/uint64(m.Halving))
}

// share gives the common pot to the tasks that were ranked in an epoch, in equal
// parts: tasks have the consent of their whole roster, so nobody multiplies them,
// and what is asked of a task moves nothing from another. With no task it waits.
func (s *state) share(epoch uint64) {
	e, ok := RewardOf(s, epoch)
	if !ok || len(e.Tasks) == 0 {
		return
	}
	pot := s.empty(Digest{})
	for i, task := range e.Tasks {
		part := pot / uint64(len(e.Tasks)-i)
		s.fill(task, part)
		pot -= part
	}
}

// RewardOf is a reward epoch that has closed.
func RewardOf(v View, number uint64) (*RewardEpoch, bool) {
	return load[RewardEpoch](v, key(keyReward, number))
}

// CurrentReward is the reward epoch that is open.
func CurrentReward(v View) (*RewardEpoch, bool) { return load[RewardEpoch](v, []byte(keyRewardNow)) }
