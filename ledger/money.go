package ledger

import (
	"fmt"
	"math/bits"
)

// Money is how a consortium's credits work: what they are founded on, what costs
// and what is paid. Credits are whole; parts are in millionths. The zero value is
// a consortium without money: nothing costs and nothing is paid.
type Money struct {
	Grant     uint64 `json:"grant"`     // of each founding member, to spend
	Bond      uint64 `json:"bond"`      // of each founding member, staked
	Fee       uint64 `json:"fee"`       // of a transaction, for each KiB it begins
	Quota     uint32 `json:"quota"`     // transactions of one sender in a minute of block time; 0: no limit
	Price     uint64 `json:"price"`     // of an answer
	Escrow    uint64 `json:"escrow"`    // that a contribution of rows to a task locks
	Emission  uint64 `json:"emission"`  // made in the first reward epoch
	Halving   uint32 `json:"halving"`   // reward epochs after which Emission is half; 0: never
	Unstake   int64  `json:"unstake"`   // ms from unstaking to spending
	Vesting   int64  `json:"vesting"`   // ms from earning with data to spending
	Cut       uint32 `json:"cut"`       // of a pot, to those who run nodes and validators
	Evaluate  uint32 `json:"evaluate"`  // ξ: of the rest, to those who rank; what is left is for models
	Provide   uint32 `json:"provide"`   // λ: of what models earn, to those whose rows made them
	Penalty   uint32 `json:"penalty"`   // β: how much of a weight beyond consensus is lost to bonds
	Smoothing uint32 `json:"smoothing"` // α: the part of an epoch in the moving average of bonds
	Cap       uint32 `json:"cap"`       // of all stake that ranks, how much one owner's counts at most; 0: no cap
	Slash     uint32 `json:"slash"`     // of a stake, lost by who is proved wrong
	Challenge uint64 `json:"challenge"` // bond of a challenge
	Window    int64  `json:"window"`    // ms in which a recorded step may be challenged
	Sample    uint32 `json:"sample"`    // of a job's steps, evaluated again by those who check
	Releases  uint32 `json:"releases"`  // of values of a task's rows in a reward epoch, at most; 0: no limit
}

const (
	// Million is the whole of what [Money] has parts of.
	Million = 1_000_000
	// MaxSupply is the most credits there ever are: no sum of them overflows.
	MaxSupply = 1 << 62
	quotaTime = 60_000 // ms
)

func (m *Money) code(c *coder) {
	for _, v := range []*uint64{&m.Grant, &m.Bond, &m.Fee, &m.Price, &m.Escrow, &m.Emission, &m.Challenge} {
		c.u64(v)
	}
	for _, v := range []*int64{&m.Unstake, &m.Vesting, &m.Window} {
		c.i64(v)
	}
	for _, v := range []*uint32{&m.Quota, &m.Halving, &m.Cut, &m.Evaluate, &m.Provide, &m.Penalty, &m.Smoothing, &m.Cap, &m.Slash, &m.Sample, &m.Releases} {
		c.u32(v)
	}
}

// Check says what is wrong with the rules.
func (m *Money) Check() error {
	for _, part := range []uint32{m.Cut, m.Evaluate, m.Provide, m.Penalty, m.Smoothing, m.Cap, m.Slash, m.Sample} {
		if part > Million {
			return fmt.Errorf("money: a part of %d millionths", part)
		}
	}
	for _, v := range []uint64{m.Grant, m.Bond, m.Fee, m.Price, m.Escrow, m.Emission, m.Challenge} {
		if v > MaxSupply/MaxMembers/2 {
			return fmt.Errorf("money: an amount of %d; one is %d at most", v, int64(MaxSupply/MaxMembers/2))
		}
	}
	for _, ms := range []int64{m.Unstake, m.Vesting, m.Window} {
		if ms < 0 || ms > MaxPatience {
			return fmt.Errorf("money: a time of %d ms; it is 0 to %d", ms, int64(MaxPatience))
		}
	}
	return nil
}

// An Account is what one member or querier has.
type Account struct {
	Balance uint64 // to spend
	Stake   uint64 // weighs its rankings, and is lost by who is proved wrong
	Escrow  uint64 // of its contributions: pays for rows that harm
	Owed    uint64 // for such rows, beyond its escrow
	Locked  []Lock // by Due: becomes Balance then
	Minute  int64  // of block time, in which it sent
	Sent    uint32 // transactions
}

// A Lock is an amount that cannot be spent yet.
type Lock struct {
	Amount uint64
	Due    int64 // block time
}

const maxLocks = 64 // of an account; amounts beyond join the last

func (a *Account) code(c *coder) {
	c.u64(&a.Balance)
	c.u64(&a.Stake)
	c.u64(&a.Escrow)
	c.u64(&a.Owed)
	list(c, &a.Locked, maxLocks, func(l *Lock) {
		c.u64(&l.Amount)
		c.i64(&l.Due)
	})
	c.i64(&a.Minute)
	c.u32(&a.Sent)
}

// Total is all that is in the account.
func (a *Account) Total() uint64 {
	sum := a.Balance + a.Stake + a.Escrow
	for _, l := range a.Locked {
		sum += l.Amount
	}
	return sum
}

// ripen makes what is due spendable.
func (a *Account) ripen(now int64) {
	for len(a.Locked) > 0 && a.Locked[0].Due <= now {
		a.Balance += a.Locked[0].Amount
		a.Locked = a.Locked[1:]
	}
}

// lock keeps an amount until a time. Times that are over later than a full
// account's last are its last.
func (a *Account) lock(amount uint64, due int64) {
	if amount == 0 {
		return
	}
	at := len(a.Locked)
	for at > 0 && a.Locked[at-1].Due > due {
		at--
	}
	switch {
	case at > 0 && a.Locked[at-1].Due == due:
		a.Locked[at-1].Amount += amount
	case len(a.Locked) == maxLocks: // later rather than sooner
		a.Locked[min(at, maxLocks-1)].Amount += amount
	default:
		a.Locked = append(a.Locked[:at:at], append([]Lock{{amount, due}}, a.Locked[at:]...)...)
	}
}

// account is what a name has now.
func (s *state) account(name string) *Account {
	a, ok := load[Account](s, key(keyAccount, name))
	if !ok {
		return &Account{}
	}
	a.ripen(s.now)
	return a
}

// keep writes an account.
func (s *state) keep(name string, a *Account) { s.put(key(keyAccount, name), a) }

// earn adds to what a name can spend.
func (s *state) earn(name string, amount uint64) {
	if amount == 0 {
		return
	}
	a := s.account(name)
	a.Balance += amount
	s.keep(name, a)
}

// A Pot is credits that nobody has: fees and emission until an epoch pays them
// out.
type Pot struct{ Amount uint64 }

func (p *Pot) code(c *coder) { c.u64(&p.Amount) }

// fill adds to the pot of a task, or to the common one, which is that of no task.
func (s *state) fill(task Digest, amount uint64) {
	if amount == 0 {
		return
	}
	s.put(key(keyPot, task), &Pot{PotOf(s, task) + amount})
}

// empty takes all of a pot.
func (s *state) empty(task Digest) uint64 {
	amount := PotOf(s, task)
	if amount > 0 {
		s.delete(key(keyPot, task))
	}
	return amount
}

// mint makes credits, as long as there may be more.
func (s *state) mint(amount uint64) uint64 {
	supply := Supply(s)
	if amount = min(amount, MaxSupply-supply); amount > 0 {
		s.put([]byte(keySupply), &Pot{supply + amount})
	}
	return amount
}

// charge takes the fee of a transaction of so many bytes, and counts it.
func (s *state) charge(name string, bytes int) Result {
	m := s.money()
	fee := m.Fee * uint64((bytes+1023)/1024)
	if fee == 0 && m.Quota == 0 {
		return Result{}
	}
	a := s.account(name)
	if minute := s.now / quotaTime; a.Minute != minute {
		a.Minute, a.Sent = minute, 0
	}
	switch {
	case m.Quota > 0 && a.Sent >= m.Quota && s.on(sentQuota):
		return refuse(OverLimit, "%s has sent %d transactions in this minute, all it may; submit it again later", name, a.Sent)
	case a.Balance < fee:
		return refuse(OverLimit, "a fee of %d credits; %s can spend %d; get some by transfer", fee, name, a.Balance)
	}
	a.Balance -= fee
	a.Sent++
	s.keep(name, a)
	s.fill(Digest{}, fee)
	return Result{}
}

// slash takes the part of a member's stake that who is proved wrong loses, first
// of what is staked, then of what is still locked: unstaking is no way out.
func (s *state) slash(name string) uint64 {
	a := s.account(name)
	staked := a.Stake
	for _, l := range a.Locked {
		staked += l.Amount
	}
	lost := partOf(staked, s.money().Slash)
	rest := lost - min(lost, a.Stake)
	a.Stake -= lost - rest
	for i := range a.Locked {
		took := min(rest, a.Locked[i].Amount)
		a.Locked[i].Amount -= took
		rest -= took
	}
	s.keep(name, a)
	return lost
}

// money are the rules in force.
func (s *state) money() *Money {
	if s.rules == nil {
		m := MoneyOf(s)
		s.rules = &m
	}
	return s.rules
}

// partOf is millionths of an amount, rounded down.
func partOf(amount uint64, millionths uint32) uint64 {
	hi, lo := bits.Mul64(amount, uint64(min(millionths, Million)))
	q, _ := bits.Div64(hi, lo, Million)
	return q
}

// MoneyOf are the rules of money in force.
func MoneyOf(v View) Money {
	if m, ok := load[Money](v, []byte(keyMoney)); ok {
		return *m
	}
	if g := GenesisOf(v); g != nil {
		return g.Money
	}
	return Money{}
}

// AccountOf is what a name has, as of its last transaction: what came due since
// is still among what is locked.
func AccountOf(v View, name string) Account {
	a, ok := load[Account](v, key(keyAccount, name))
	if !ok {
		return Account{}
	}
	return *a
}

// PotOf is what waits to be paid out for a task, or, of no task, for all.
func PotOf(v View, task Digest) uint64 {
	p, ok := load[Pot](v, key(keyPot, task))
	if !ok {
		return 0
	}
	return p.Amount
}

// Supply is all credits ever made.
func Supply(v View) uint64 {
	p, ok := load[Pot](v, []byte(keySupply))
	if !ok {
		return 0
	}
	return p.Amount
}

// Credits is all there are, wherever they are: the law is that it is [Supply].
func Credits(v View) uint64 {
	var sum uint64
	each(v, []byte(keyAccount), func(_ []byte, a *Account) bool {
		sum += a.Total()
		return true
	})
	each(v, []byte(keyPot), func(_ []byte, p *Pot) bool {
		sum += p.Amount
		return true
	})
	each(v, []byte(keyQuerier), func(_ []byte, q *Querier) bool {
		sum += q.Prepaid
		return true
	})
	each(v, []byte(keyChallenge), func(_ []byte, x *Challenge) bool {
		sum += x.Bond
		return true
	})
	return sum
}
