package ledger

// placeholder
type Settle struct {
	Epoch uint64
	Task  Digest
}

func (*Settle) kind() kind                        { return 32 }
func (x *Settle) code(c *coder)                   { c.u64(&x.Epoch); c.digest(&x.Task) }
func (x *Settle) apply(s *state, _ sender) Result { return refuse(WrongState, "") }
