package replay

import (
	"fmt"

	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// Open adds up the companies' shares of the release of a job's values, in roster
// order, and gives the integers that nodes record: [ledger.Values]. ticket is the
// release's, values the ciphertext that it names.
func (j *Job) Open(ticket *ledger.Ticket, values []byte, copies []ledger.Pair, shares [][]byte) ([]int64, error) {
	sum, err := j.ParseValues(values)
	if err != nil {
		return nil, err
	}
	release, err := j.Release(ticket, sum, copies)
	if err != nil {
		return nil, err
	}
	parsed := make([]*multiparty.SwitchShare, len(shares))
	for i, b := range shares {
		if parsed[i], err = release.ParseShare(b); err != nil {
			return nil, fmt.Errorf("share %d of the release: %w", i, err)
		}
	}
	switched, err := release.Finish(parsed)
	if err != nil {
		return nil, err
	}
	receiver, _ := j.Receiver()
	return ledger.Coarse(j.Opened(release.Open(receiver, switched), copies), j.Roster.N()), nil
}
