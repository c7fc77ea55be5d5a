package ledger

// The seen-set is the accepted transactions that have not expired. It is a
// function of the log: whoever keeps the log need not store, prove or hand over the
// set, and a member too many does no harm, for what has expired is refused before
// the set is asked.

// SeenKeys begins every key of the seen-set.
const SeenKeys = keySeen

// Seen is the write that the acceptance of a transaction adds to the seen-set, and
// its expiry; false if it is none.
func Seen(tx []byte) (w Write, expiry int64, ok bool) {
	t, err := ParseTx(tx)
	if err != nil {
		return Write{}, 0, false
	}
	return Write{Key: t.seen(), Value: []byte{1}}, t.Expiry, true
}

func (t *Tx) seen() []byte { return key(keySeen, t.Expiry, t.Hash()) }
