package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/federation/store"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// A making is this party's machine in a ceremony, fed from the ledger: stage by
// stage its own promise, all others', its own parts, all others'. After a restart
// it is fed the same from the beginning and says the same.
type making struct {
	machine *multiparty.Ceremony
	stage   int // as the ledger numbers them
	phase   phase
	heard   int       // reveals of this stage that were heard: party by party, part by part
	promise []byte    // of this stage
	inline  []byte    // the own part of this stage, if it is one that goes on the ledger
	letters []*letter // else all of them
}

// A phase is what is next in a stage.
type phase int

const (
	promising phase = iota // the own promise
	trusting               // all others' promises, once all are on the ledger
	revealing              // the own parts
	hearing                // all others' parts, once all are on the ledger
)

// basePlan is what a base ceremony makes.
func (a *Agent) basePlan() multiparty.Plan {
	return multiparty.Plan{Train: a.Profiles.Train, Release: a.Profiles.Release}
}

// keySetPlan is what a task's key set makes.
func (a *Agent) keySetPlan(t *ledger.Task) (multiparty.Plan, ledger.Packing, error) {
	plan, err := replay.TaskPlan(t, a.Profiles)
	if err != nil {
		return multiparty.Plan{}, ledger.Packing{}, err
	}
	made := a.basePlan()
	made.TrainRotations = plan.Rotations
	return made, replay.Packing(plan), nil
}

// sizes are the parts of each stage, as the ledger has them.
func sizes(stages []multiparty.Stage) []uint16 {
	out := make([]uint16, len(stages))
	for i, s := range stages {
		out[i] = uint16(len(s.Parts))
	}
	return out
}

// rotations are a plan's as the ledger has them.
func rotations(plan multiparty.Plan) []int32 {
	var out []int32
	for _, k := range plan.TrainRotations {
		out = append(out, int32(k))
	}
	return out
}

// planOf is what a ceremony on the ledger makes. What this company would not
// have opened it aborts.
func (a *Agent) planOf(v ledger.View, y *ledger.Ceremony) (multiparty.Plan, error) {
	plan := a.basePlan()
	stages := plan.Stages()
	if y.Task != (ledger.Digest{}) {
		t, ok := ledger.TaskOf(v, y.Task)
		if !ok {
			return plan, fmt.Errorf("ceremony %x is of no task", y.ID[:6])
		}
		made, packing, err := a.keySetPlan(t)
		if err != nil {
			return plan, &multiparty.Abort{Cause: multiparty.Disagreed, Detail: err.Error()}
		}
		if packing != t.Packing {
			return plan, &multiparty.Abort{Cause: multiparty.Disagreed, Detail: fmt.Sprintf("packed as %+v, but the consents lead to %+v; compare versions", t.Packing, packing)}
		}
		plan, stages = made, made.KeySetStages()
	}
	if !slices.Equal(rotations(plan), y.Rotations) || !slices.Equal(sizes(stages), y.Stages) {
		return plan, &multiparty.Abort{Cause: multiparty.Disagreed, Detail: "other rotations or stages than this company's plan has; compare versions"}
	}
	return plan, nil
}

// enter is the making of a ceremony, from its beginning or as far as it came.
func (a *Agent) enter(ctx context.Context, v ledger.View, y *ledger.Ceremony) (*making, error) {
	if m := a.making[y.ID]; m != nil {
		return m, nil
	}
	plan, err := a.planOf(v, y)
	if err != nil {
		return nil, err
	}
	m := &making{}
	if y.Task == (ledger.Digest{}) {
		m.machine, err = multiparty.NewCeremony(plan, y.ID, y.Parties, a.Name, a.Seed.Derive("agent/ceremony", y.ID[:]))
	} else {
		var keys *epochKeys
		if keys, err = a.epochOf(ctx, v, y.Epoch); err != nil {
			return nil, err
		}
		m.machine, err = multiparty.NewKeySet(plan, y.ID, keys.epoch, keys.secrets)
	}
	if err != nil {
		return nil, &multiparty.Abort{Cause: multiparty.Disagreed, Detail: err.Error()}
	}
	a.making[y.ID] = m
	return m, nil
}

// drive brings a making as far as the ledger has come. What others sent and does
// not go together is an [*multiparty.Abort].
func (a *Agent) drive(ctx context.Context, v ledger.View, y *ledger.Ceremony) (*making, error) {
	m, err := a.enter(ctx, v, y)
	if err != nil {
		return nil, err
	}
	for m.stage < len(y.Stages) {
		past := int(y.Stage) > m.stage || y.State >= ledger.Acknowledging
		switch m.phase {
		case promising:
			if err := a.promise(v, y, m); err != nil {
				return nil, err
			}
		case trusting:
			if !past && y.State != ledger.Revealing {
				return m, nil
			}
			if err := a.trust(v, y, m); err != nil {
				return nil, err
			}
		case revealing:
			if err := a.speak(v, y, m, past); err != nil {
				delete(a.making, y.ID) // the machine has spoken: a new one says it again
				return nil, err
			}
		case hearing:
			if !past {
				return m, nil
			}
			if err := a.hearParts(ctx, v, y, m); err != nil {
				return nil, err
			}
			m.stage, m.phase, m.heard, m.inline, m.letters = m.stage+1, promising, 0, nil, nil
			continue
		}
		m.phase++
	}
	return m, nil
}

// promise makes the own commitment of a stage and holds it to what was promised
// before: in the journal, and on the ledger.
func (a *Agent) promise(v ledger.View, y *ledger.Ceremony, m *making) error {
	msgs := m.machine.Send()
	if len(msgs) != 1 {
		return fmt.Errorf("stage %d of ceremony %x begins with %d messages; it has one commitment", m.stage, y.ID[:6], len(msgs))
	}
	m.promise = msgs[0]
	said, onLedger := ledger.CommitOf(v, y.ID, uint8(m.stage), a.Name)
	differs := onLedger && string(said.Promise) != string(m.promise)
	err := a.Store.Journal.Put(fmt.Sprintf("promise/%x/%d", y.ID, m.stage), m.promise)
	var conflict *store.ConflictError
	switch {
	case errors.As(err, &conflict) || differs:
		if !a.off.promise {
			delete(a.making, y.ID)
			return &PromiseError{Ceremony: y.ID, Stage: m.stage}
		}
	case err != nil:
		delete(a.making, y.ID) // the machine has spoken: a new one says it again
		return err
	}
	return nil
}

// trust hears the others' commitments.
func (a *Agent) trust(v ledger.View, y *ledger.Ceremony, m *making) error {
	for _, p := range y.Parties {
		if p == a.Name {
			continue
		}
		c, ok := ledger.CommitOf(v, y.ID, uint8(m.stage), p)
		if !ok {
			return fmt.Errorf("the commitment of %s is not on this copy of the ledger", p)
		}
		if err := m.machine.Receive(p, c.Promise); err != nil {
			return err
		}
	}
	return nil
}

// speak makes the own parts of a stage into letters, one at a time: together
// they are as large as all keys. Those of a stage that is past were sent before.
func (a *Agent) speak(v ledger.View, y *ledger.Ceremony, m *making, past bool) error {
	for msgs := m.machine.Send(); len(msgs) > 0; msgs = m.machine.Send() {
		for _, msg := range msgs {
			switch {
			case past:
			case y.Stages[m.stage] == 1 && len(msg) <= ledger.MaxInline:
				m.inline = msg
			default:
				l, err := a.write(v, ledger.Post{Epoch: y.Epoch, Scope: y.ID, Kind: ledger.PostPart, Step: uint16(m.stage), Index: uint16(len(m.letters))}, msg)
				if err != nil {
					return err
				}
				m.letters = append(m.letters, l)
			}
		}
	}
	return nil
}

// hearParts hears the others' reveals, and goes on where it was broken off.
func (a *Agent) hearParts(ctx context.Context, v ledger.View, y *ledger.Ceremony, m *making) error {
	at := 0
	for _, p := range y.Parties {
		said, ok := ledger.RevealOf(v, y.ID, uint8(m.stage), p)
		if !ok {
			return fmt.Errorf("the reveal of %s is not on this copy of the ledger", p)
		}
		for i := range int(y.Stages[m.stage]) {
			if at++; p == a.Name || at <= m.heard {
				continue
			}
			msg := said.Inline
			if len(said.Blobs) > 0 {
				var err error
				if msg, err = a.fetch(ctx, v, y.ID, said.Blobs[i]); err != nil {
					return err
				}
			}
			if err := m.machine.Receive(p, msg); err != nil {
				return err
			}
			m.heard = at
		}
	}
	return nil
}
