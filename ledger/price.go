package ledger

import "math/bits"

// prepay takes the price of a querier's whole quota from its sponsor: nobody's
// answers are ever owed.
func (s *state) prepay(q *Querier) Result {
	price := s.money().Price
	if price == 0 {
		return Result{}
	}
	hi, lo := bits.Mul64(q.Quota, price)
	if hi > 0 {
		lo = MaxSupply + 1
	}
	if r := s.spend(q.Sponsor, lo); r.Code != OK {
		return r
	}
	q.Prepaid = lo
	return Result{}
}

// consume moves the price of answers from what was prepaid to the pot of the
// querier's task.
func (s *state) consume(q *Querier, answers uint64) {
	hi, lo := bits.Mul64(answers, s.money().Price)
	if hi > 0 || lo > q.Prepaid {
		lo = q.Prepaid
	}
	q.Prepaid -= lo
	s.fill(q.Task, lo)
}
