package agent

import (
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/multiparty"
)

// claims is the [multiparty.Journal] of a key epoch on disk: every c1 that was
// answered, with what, and how often (law L3).
type claims struct {
	journal *store.Journal
	epoch   uint32
	spent   map[multiparty.Purpose]int
	limit   func(multiparty.Purpose) int
}

// newClaims counts what was answered before.
func newClaims(journal *store.Journal, epoch uint32) (*claims, error) {
	c := &claims{journal: journal, epoch: epoch, spent: map[multiparty.Purpose]int{}, limit: multiparty.Purpose.Budget}
	for _, p := range []multiparty.Purpose{multiparty.Refresh, multiparty.Opening} {
		if err := journal.Range(c.request(p, ""), func(string, []byte) bool { c.spent[p]++; return true }); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *claims) request(p multiparty.Purpose, request string) string {
	return fmt.Sprintf("request/%d/%d/%s", c.epoch, p, request)
}

// Claim implements [multiparty.Journal].
func (c *claims) Claim(purpose multiparty.Purpose, c1s []he.Digest, request he.Digest) error {
	records := []store.Record{{Key: c.request(purpose, fmt.Sprintf("%x", request)), Value: []byte{1}}}
	repeat := true
	for _, c1 := range c1s {
		key := fmt.Sprintf("c1/%d/%x", c.epoch, c1)
		bound, err := c.journal.Get(key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			repeat = false
		case err != nil:
			return err
		case string(bound) != string(request[:]):
			used := &multiparty.UsedError{C1: c1, Request: request}
			copy(used.Bound[:], bound)
			return used
		}
		records = append(records, store.Record{Key: key, Value: request[:]})
	}
	switch {
	case repeat:
		return nil
	case c.spent[purpose] >= c.limit(purpose):
		return &multiparty.SpentError{Purpose: purpose, Budget: c.limit(purpose)}
	}
	if err := c.journal.PutAll(records); err != nil {
		return err
	}
	c.spent[purpose]++
	return nil
}
