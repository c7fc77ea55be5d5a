package ledger

// Transfer gives credits to a member or querier.
type Transfer struct {
	To     string
	Amount uint64
	Memo   []byte // what for; nobody reads it here
}

// MaxMemo bounds what a transfer is for, in bytes.
const MaxMemo = 256

func (*Transfer) kind() kind { return 27 }
func (x *Transfer) code(c *coder) {
	c.name(&x.To)
	c.u64(&x.Amount)
	c.bytes(&x.Memo, MaxMemo)
}

func (x *Transfer) apply(s *state, from sender) Result {
	if !s.has(key(keyMember, x.To)) && !s.has(key(keyQuerier, x.To)) {
		return refuse(Unknown, "no member or querier %s", x.To)
	}
	if r := s.spend(from.name, x.Amount); r.Code != OK {
		return r
	}
	s.earn(x.To, x.Amount)
	return Result{}
}

// spend takes an amount from what a name can spend.
func (s *state) spend(name string, amount uint64) Result {
	a := s.account(name)
	switch {
	case amount == 0:
		return refuse(Malformed, "an amount of nothing")
	case a.Balance < amount:
		return refuse(OverLimit, "%d credits; %s can spend %d", amount, name, a.Balance)
	}
	a.Balance -= amount
	s.keep(name, a)
	return Result{}
}

// Stake puts up what the sender can spend: its rankings weigh as much, and it
// loses a part when it is proved wrong.
type Stake struct{ Amount uint64 }

func (*Stake) kind() kind      { return 28 }
func (x *Stake) code(c *coder) { c.u64(&x.Amount) }

func (x *Stake) apply(s *state, from sender) Result {
	if from.member == nil {
		return refuse(Forbidden, "%s is no member; members stake", from.name)
	}
	if r := s.spend(from.name, x.Amount); r.Code != OK {
		return r
	}
	a := s.account(from.name)
	a.Stake += x.Amount
	s.keep(from.name, a)
	return Result{}
}

// Unstake takes a stake back, to be spent when the consortium's delay is over.
// Until then it can still be lost.
type Unstake struct{ Amount uint64 }

func (*Unstake) kind() kind      { return 29 }
func (x *Unstake) code(c *coder) { c.u64(&x.Amount) }

func (x *Unstake) apply(s *state, from sender) Result {
	a := s.account(from.name)
	switch {
	case x.Amount == 0:
		return refuse(Malformed, "an amount of nothing")
	case a.Stake < x.Amount:
		return refuse(OverLimit, "%d credits; %s has staked %d", x.Amount, from.name, a.Stake)
	}
	a.Stake -= x.Amount
	a.lock(x.Amount, s.now+s.money().Unstake)
	s.keep(from.name, a)
	return Result{}
}

// found gives a founding member what the consortium was founded with.
func (s *state) found(name string) {
	m := s.money()
	if m.Grant+m.Bond == 0 {
		return
	}
	s.mint(m.Grant + m.Bond)
	s.keep(name, &Account{Balance: m.Grant, Stake: m.Bond})
}

// Amend is a company's vote for other rules of money, in force when a majority of
// the companies' owners is for them. What was staked, locked or committed under
// the rules before stays as it is.
type Amend struct{ Money Money }

func (*Amend) kind() kind      { return 33 }
func (x *Amend) code(c *coder) { x.Money.code(c) }

func (x *Amend) apply(s *state, from sender) Result {
	if err := x.Money.Check(); err != nil {
		return refuse(OverLimit, "%v", err)
	}
	if x.Money == *s.money() {
		return refuse(Replayed, "these rules are in force")
	}
	at := key(keyVotes, Hash("amend", appendCoded(nil, &x.Money)))
	won, r := s.vote(at, from)
	if r.Code != OK || !won {
		return r
	}
	s.delete(at)
	s.put([]byte(keyMoney), &x.Money)
	return Result{}
}
