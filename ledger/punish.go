package ledger

// punish takes from a validator that equivocated what it staked on being honest,
// for everybody. The record of the misbehaviour stands by then, so it happens
// once for each consensus key.
func (s *state) punish(m *Member) { s.fill(Digest{}, s.slash(m.Name)) }
