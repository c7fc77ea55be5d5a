package local

import (
	"context"
	"errors"
	"time"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
)

// makeKeys runs the ceremony: everybody speaks, then everybody listens, until
// all are done. The node takes the public keys from the first company; that all
// hold the same is what the ceremony's end test saw.
func (f *federation) makeKeys(ctx context.Context) error {
	start := time.Now()
	plan := multiparty.Plan{Train: f.job.profiles.Train, Release: f.job.profiles.Release, TrainRotations: f.job.plan.Rotations}
	names := make([]string, len(f.companies))
	for i, c := range f.companies {
		names[i] = c.name
	}
	parties := make([]*multiparty.Ceremony, len(names))
	for i, c := range f.companies {
		var err error
		if parties[i], err = multiparty.NewCeremony(plan, f.session, names, c.name, c.seed.Derive("ceremony")); err != nil {
			return err
		}
	}
	var sent int64
	rounds := plan.Rounds()
	for round := 0; !allDone(parties); round++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.progress("keys", min(round, rounds), rounds)
		bytes, err := exchange(names, parties)
		if err != nil {
			return err
		}
		sent += bytes
	}
	f.progress("keys", rounds, rounds)
	if err := f.takeKeys(parties); err != nil {
		return err
	}
	f.report.SecondsCeremony, f.report.BytesKeys = time.Since(start).Seconds(), sent
	return nil
}

func allDone(parties []*multiparty.Ceremony) bool {
	for _, p := range parties {
		if !p.Done() {
			return false
		}
	}
	return true
}

// exchange lets every party send what it has to say to all others, and
// returns how many bytes all of them uploaded.
func exchange(names []string, parties []*multiparty.Ceremony) (sent int64, err error) {
	said := make([][][]byte, len(parties))
	if err := together(len(parties), func(i int) error {
		said[i] = parties[i].Send()
		return nil
	}); err != nil {
		return 0, err
	}
	for _, messages := range said {
		for _, m := range messages {
			sent += int64(len(m))
		}
	}
	if sent == 0 {
		return 0, errors.New("the ceremony stopped before its end") // unreachable while every party keeps to it
	}
	return sent, together(len(parties), func(to int) error {
		for from, messages := range said {
			for _, m := range messages {
				if from == to {
					continue
				}
				if err := parties[to].Receive(names[from], m); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// takeKeys hands secrets to the companies and evaluation keys to whoever
// evaluates.
func (f *federation) takeKeys(parties []*multiparty.Ceremony) error {
	profiles := f.job.profiles
	train, _ := parties[0].PublicKeys()
	keys := parties[0].EvaluationKeys(profiles.Train) // the companies' own are the same
	evaluator, err := circuit.NewEvaluator(f.job.plan, keys)
	if err != nil {
		return err
	}
	f.node = &node{
		job: f.job, roster: parties[0].Roster(), evaluator: evaluator, publicKey: train,
		comparer: circuit.NewComparer(keys),
		valuer:   circuit.NewValuer(parties[0].EvaluationKeys(profiles.Release)),
		blocks:   make([][]circuit.Block, len(parties)), validation: make([][]circuit.Block, len(parties)),
		contributed: map[*he.Ciphertext]he.Digest{},
	}
	for i, c := range f.companies {
		c.job, c.roster, c.secrets = f.job, parties[i].Roster(), parties[i].Secrets()
		c.publicKey, c.keys, c.encoder, c.journal = train, keys, he.NewEncoder(profiles.Train), &multiparty.UsedSet{}
	}
	return nil
}
