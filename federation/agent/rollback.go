package agent

import (
	"fmt"

	"github.com/commonseal/commonseal/ledger"
)

// intact holds the journal to the ledger: every answer of this company in the
// key epoch that the ledger has, the journal has. A journal that lacks one was
// rolled back.
func (a *Agent) intact(v ledger.View, k *epochKeys) error {
	if a.off.rollback {
		return nil
	}
	for _, j := range ledger.Jobs(v) {
		t, ok := ledger.TaskOf(v, j.Task)
		if !ok || t.Epoch != k.number {
			continue
		}
		// The shares of a step are on the ledger once the next is recorded.
		answered := int(j.Step) - 1
		if j.State == ledger.JobDone {
			answered = int(j.End()) + 1
		}
		for step := k.intact[j.ID]; int(step) < answered; step++ {
			if err := a.remembers(k, ledger.Post{Scope: j.ID, Kind: ledger.PostShare, Step: step}); err != nil {
				return err
			}
			k.intact[j.ID] = step + 1
		}
		// Values are opened by all companies' answers, this one's among them.
		if m, ok := ledger.ModelOf(v, j.Model); ok && len(m.Opened) > 0 {
			if err := a.remembers(k, ledger.Post{Scope: j.ID, Kind: ledger.PostOpening, Step: j.Step}); err != nil {
				return err
			}
		}
	}
	return nil
}

// remembers refuses everything if the journal lacks an answer that was given.
func (a *Agent) remembers(k *epochKeys, like ledger.Post) error {
	_, ok, err := a.wrote(like)
	if err == nil && !ok {
		err = &RefusedError{&RollbackError{Epoch: k.number, What: fmt.Sprintf("the answer for step %d of job %x", like.Step, like.Scope[:6])}}
	}
	return err
}
