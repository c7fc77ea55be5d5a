package ledger

// Lapse ends a challenge that validators have not decided within a window after it
// was opened. Anybody may: otherwise validators that are away, or nodes that keep
// the blobs of a step to themselves, would lock a bond and a task's pot for ever.
//
// It favours neither side. Nobody has shown the step wrong, so who recorded it
// loses nothing; nobody has shown it right, so who challenged it has its bond back,
// all of it. Neither gains by waiting for it: the accused are not paid sooner than
// by votes, the challenger earns nothing. Nor does a challenge that was meant to
// lapse shield a step: while the step's own window is open it can be challenged
// again, and the votes count that were cast.
type Lapse struct {
	Job  Digest
	Step uint16
}

func (*Lapse) kind() kind { return 47 }
func (x *Lapse) code(c *coder) {
	c.digest(&x.Job)
	c.u16(&x.Step)
}

func (x *Lapse) apply(s *state, _ sender) Result {
	ch, ok := ChallengeOf(s, x.Job, x.Step)
	switch {
	case !ok:
		return refuse(Unknown, "nobody has challenged step %d of job %x", x.Step, x.Job[:6])
	case ch.Decided == Lapsed:
		return refuse(Replayed, "the challenge has lapsed already")
	case ch.Decided != Undecided:
		return refuse(WrongState, "the challenge is decided")
	case s.now <= LapsesAfter(s, ch):
		return refuse(WrongState, "validators have until %d to decide the challenge", LapsesAfter(s, ch))
	}
	s.earn(ch.By, ch.Bond)
	ch.Bond, ch.Decided = 0, Lapsed
	s.put(key(keyChallenge, ch.Job, ch.Step), ch)
	return Result{}
}

// LapsesAfter is the block time after which an undecided challenge can lapse: the
// validators have as long to decide as there was to challenge.
func LapsesAfter(v View, x *Challenge) int64 { return x.Opened + MoneyOf(v).Window }

// SettlesAfter is the block time after which a task's pot can be paid out for the
// rankings of an epoch: then no model that was ranked can be challenged any more.
// It is waited for because what was paid is not taken back. open are the challenges
// of such models that have to be decided, or to lapse, before. A model that was
// refuted is not paid, and not waited for, nor are values that were opened after
// the epoch's rankings were revealed. Without a window nothing is.
func SettlesAfter(v View, epoch uint64, task Digest) (until int64, open []Challenge) {
	return settlesAfter(v, epoch, task, false)
}

// inTime says whether a model's values were opened by when an epoch's rankings were
// revealed. Later ones count in later settlements: companies decide when values are
// opened, and with each model's held up this one for another window.
func inTime(v View, epoch uint64, m *Model) bool {
	revealed, ok := RewardOf(v, epoch+1)
	return !ok || m.Since <= revealed.Closed
}

// settlesAfter is [SettlesAfter], with late values counting if late is set.
func settlesAfter(v View, epoch uint64, task Digest, late bool) (until int64, open []Challenge) {
	window, patience := MoneyOf(v).Window, GenesisOf(v).Patience
	t, ok := TaskOf(v, task)
	if !ok || window == 0 {
		return 0, nil
	}
	for _, id := range rankedIn(v, epoch, t) {
		m, ok := ModelOf(v, id)
		if !ok || m.Refuted {
			continue
		}
		j, _ := JobOf(v, m.Job)
		since, counts := m.Since, late || inTime(v, epoch, m)
		if !counts {
			since = 0
		}
		until = max(until, challengeFrom(j, &Ticket{Opened: since}, patience)+window) // all tickets are older than the job's end
		each(v, key(keyChallenge, j.ID), func(_ []byte, x *Challenge) bool {
			if x.Decided == Undecided && (counts || x.Step != j.ValuesStep()) {
				open = append(open, *x)
			}
			return true
		})
	}
	return until, open
}

// rankedIn are the models that rankings of an epoch name that count.
func rankedIn(v View, epoch uint64, t *Task) []Digest {
	models := map[Digest]bool{}
	for _, x := range t.Consents {
		r, ok := RankingOf(v, epoch, t.ID, x.Company)
		if m, _ := MemberOf(v, x.Company); !ok || !r.Open || m.Revoked {
			continue
		}
		for _, w := range r.Weights {
			models[w.Model] = true
		}
	}
	return sortedDigests(models)
}

// contested says until when a settlement waits for the challenge game, if it does.
func (s *state) contested(epoch uint64, task Digest) Result {
	until, open := settlesAfter(s, epoch, task, !s.on(openedInTime))
	for _, x := range open {
		until = max(until, LapsesAfter(s, &x))
	}
	switch {
	case !s.on(gameFirst):
	case len(open) > 0:
		x := open[0]
		return refuse(WrongState, "step %d of job %x is challenged; settle when the validators have decided, or the challenge lapses after %d", x.Step, x.Job[:6], until)
	case s.now <= until:
		return refuse(WrongState, "models that were ranked can be challenged until %d; settle then", until)
	}
	return Result{}
}
