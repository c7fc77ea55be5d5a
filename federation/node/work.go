package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/federation/replay"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/he/circuit"
	"github.com/commonseal/commonseal/he/multiparty"
	"github.com/commonseal/commonseal/ledger"
)

// work is a job as the node works on it. All of it can be made again from the
// ledger and blobs.
type work struct {
	job       *replay.Job
	evaluator *replay.Evaluator // nil until a step is evaluated
	outputs   map[uint16][]*he.Ciphertext
}

// work finds a job, or derives it anew.
func (n *Node) work(ctx context.Context, v ledger.View, id ledger.Digest) (*work, error) {
	if w := n.jobs[id]; w != nil {
		return w, nil
	}
	j, ok := ledger.JobOf(v, id)
	if !ok {
		return nil, fmt.Errorf("no job %x", id[:6])
	}
	t, _ := ledger.TaskOf(v, j.Task)
	k, err := n.keys(ctx, v, t)
	if err != nil {
		return nil, err
	}
	job, err := replay.NewJob(v, j, n.Profiles, k.Roster)
	if err != nil {
		return nil, err
	}
	w := &work{job: job, outputs: map[uint16][]*he.Ciphertext{}}
	n.jobs[id] = w
	return w, nil
}

// forgetJobs frees what jobs that are over hold in memory.
func (n *Node) forgetJobs(v ledger.View) {
	for id := range n.jobs {
		j, _ := ledger.JobOf(v, id)
		m, _ := ledger.ModelOf(v, j.Model)
		if j.State == ledger.JobAborted || j.State == ledger.JobDone && (m.Values == ledger.Digest{} || len(m.Opened) > 0) {
			delete(n.jobs, id)
		}
	}
}

// finish adds up the shares of a step's map, in roster order, and signs what
// comes out.
func (n *Node) finish(ctx context.Context, v ledger.View, d federation.Finish) error {
	w, err := n.work(ctx, v, d.Job)
	if err != nil {
		return err
	}
	if w.job.Opens(d.Step) {
		if _, err := n.copies(ctx, v, w); err != nil {
			return err
		}
		return n.done(d)
	}
	round, ticket, err := n.round(ctx, v, w, d.Step)
	if err != nil {
		return err
	}
	m := w.job.Map(d.Step)
	digests, err := n.said(v, w, ledger.PostShare, d.Step)
	if err != nil {
		return err
	}
	blobs, err := n.shares(ctx, v, digests)
	if err != nil {
		return err
	}
	shares := make([]*multiparty.MapShare, len(blobs))
	for i, b := range blobs {
		if shares[i], err = m.ParseShare(b); err != nil {
			return fmt.Errorf("share of %s: %w", w.job.Roster.Parties[i], err)
		}
	}
	outputs, remainder, err := round.Finish(shares)
	if err != nil {
		return err
	}
	for i, c := range outputs {
		if err := n.say(ctx, w, ledger.PostOutput, d.Step, uint16(i), c.Profile, c.Append(nil), ticket.Record); err != nil {
			return err
		}
	}
	if remainder != nil {
		rest, err := multiparty.NewModelShare(n.Profiles.Serve, remainder)
		if err != nil {
			return err
		}
		if err := n.say(ctx, w, ledger.PostRemainder, d.Step, 0, n.Profiles.Serve, rest.Append(nil), ticket.Record); err != nil {
			return err
		}
	}
	w.outputs[d.Step] = outputs
	if !w.job.IsValued(d.Step - 1) {
		delete(w.outputs, d.Step-1)
	}
	return n.done(d)
}

// round is the map of a step's ticket, on the inputs of the record that a
// quorum agreed on.
func (n *Node) round(ctx context.Context, v ledger.View, w *work, step uint16) (*multiparty.Round, *ledger.Ticket, error) {
	ticket, record, err := replay.Ticketed(v, w.job.ID, step)
	if err != nil {
		return nil, nil, err
	}
	round, err := w.job.Round(ticket, record, n.blob(ctx, v))
	return round, ticket, err
}

// said are the blobs of all parties' posts of a step, by digest, in roster order.
func (n *Node) said(v ledger.View, w *work, kind ledger.PostKind, step uint16) ([]ledger.Digest, error) {
	posts, err := n.posted(v, w, kind, step)
	var out []ledger.Digest
	for _, p := range posts {
		out = append(out, p.Blob)
	}
	return out, err
}

// posted are all companies' posts of their shares of a step, in roster order.
func (n *Node) posted(v ledger.View, w *work, kind ledger.PostKind, step uint16) ([]ledger.Post, error) {
	var out []ledger.Post
	for _, party := range w.job.Roster.Parties {
		m, _ := ledger.MemberOf(v, party)
		p, ok := n.posts.get(ledger.Post{Scope: w.job.ID, Kind: kind, Step: step, Sender: m.Signing})
		if !ok {
			return nil, fmt.Errorf("the share of %s is not here", party)
		}
		out = append(out, p)
	}
	return out, nil
}

// shares are these blobs.
func (n *Node) shares(ctx context.Context, v ledger.View, digests []ledger.Digest) ([][]byte, error) {
	out := make([][]byte, len(digests))
	for i, d := range digests {
		var err error
		if out[i], err = n.blob(ctx, v)(d); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// say stores a blob of the node's own and posts it.
func (n *Node) say(ctx context.Context, w *work, kind ledger.PostKind, step, index uint16, profile *he.Profile, b []byte, previous ledger.Digest) error {
	d, err := n.Store.Blobs.Put(b)
	if err != nil {
		return err
	}
	g := ledger.GenesisOf(n.Ledger.View())
	p := ledger.Post{Chain: g.Chain, Epoch: w.job.Task.Epoch, Profile: profile.Digest(), Scope: w.job.ID, Kind: kind, Step: step, Index: index,
		Blob: d, Size: uint32(len(b)), Previous: previous}
	return n.Keep(ctx, p.Sign(n.Signing))
}

// output is what a step's map left at an index.
func (n *Node) output(ctx context.Context, v ledger.View, w *work, step uint16, index int) (*he.Ciphertext, error) {
	if cs := w.outputs[step]; cs != nil {
		return cs[index], nil
	}
	own := ledger.Key(n.Signing.Public().(ed25519.PublicKey))
	p, ok := n.posts.get(ledger.Post{Scope: w.job.ID, Kind: ledger.PostOutput, Step: step, Index: uint16(index), Sender: own})
	if !ok {
		return nil, fmt.Errorf("output %d of step %d is not here", index, step)
	}
	b, err := n.blob(ctx, v)(p.Blob)
	if err != nil {
		return nil, err
	}
	return w.job.ParseOutput(step, index, b)
}

// record evaluates a step and records it. What key holders will ask for is
// stored before.
func (n *Node) record(ctx context.Context, v ledger.View, d federation.Record) error {
	w, err := n.work(ctx, v, d.Job)
	if err != nil {
		return err
	}
	if err := n.prepare(ctx, v, w); err != nil {
		return err
	}
	j, _ := ledger.JobOf(v, d.Job)
	r := &ledger.StepRecord{Job: j.ID, Step: d.Step, Previous: j.Last}
	step := w.evaluator.Start()
	if d.Step > 0 {
		if r.Shares, err = n.said(v, w, ledger.PostShare, d.Step-1); err != nil {
			return err
		}
		if step, err = n.evaluate(ctx, v, w, d.Step, r); err != nil {
			return err
		}
	}
	step.Record(r)
	if err := n.keepStep(step); err != nil {
		return err
	}
	return n.submit(ctx, r)
}

// evaluate is step t, at the point the step before left, with local companies'
// updates, which it notes in the record.
func (n *Node) evaluate(ctx context.Context, v ledger.View, w *work, t uint16, r *ledger.StepRecord) (replay.Step, error) {
	if t > w.job.Steps {
		return w.evaluator.Compare(t, n.left(ctx, v, w))
	}
	point, err := n.output(ctx, v, w, t-1, 0)
	if err != nil {
		return replay.Step{}, err
	}
	weights, err := n.output(ctx, v, w, t-1, 1)
	if err != nil {
		return replay.Step{}, err
	}
	j, _ := ledger.JobOf(v, w.job.ID)
	updates := map[federation.Owed]*he.Ciphertext{}
	at := point.Digest()
	for _, u := range federation.Updates(v, j, t) {
		m, _ := ledger.MemberOf(v, u.Company)
		p, ok := n.posts.get(ledger.Post{Scope: j.ID, Kind: ledger.PostUpdate, Step: t, Index: u.Index, Sender: m.Signing})
		if !ok || p.Previous != at {
			return replay.Step{}, fmt.Errorf("the update of %s for step %d is missing, or at another point", u.Company, t)
		}
		b, err := n.blob(ctx, v)(p.Blob)
		if err != nil {
			return replay.Step{}, err
		}
		if updates[u], err = w.job.ParseUpdate(b); err != nil {
			return replay.Step{}, fmt.Errorf("the update of %s: %w", u.Company, err)
		}
		r.Updates = append(r.Updates, p.Append(nil))
	}
	return w.evaluator.Step(t, point, weights, updates)
}

// keepStep stores what a record names by digest: the inputs of the map, and the
// operations.
func (n *Node) keepStep(s replay.Step) error {
	for _, c := range s.Inputs {
		if _, err := n.Store.Blobs.Put(c.Append(nil)); err != nil {
			return err
		}
	}
	return n.keepOps(s.Ops)
}

func (n *Node) keepOps(ops []circuit.Op) error {
	for _, op := range ops {
		if _, err := n.Store.Blobs.Put(op.Append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// prepare reads the contributions of a job, once.
func (n *Node) prepare(ctx context.Context, v ledger.View, w *work) error {
	if w.evaluator != nil {
		return nil
	}
	k, err := n.keys(ctx, v, &w.job.Task)
	if err != nil {
		return err
	}
	ev, err := replay.NewEvaluator(w.job, k.Public, k.Train, k.Release)
	if err != nil {
		return err
	}
	if err := replay.Contributions(v, w.job, ev, n.blob(ctx, v)); err != nil {
		return err
	}
	w.evaluator = ev
	return nil
}

// conclude records the model, and the sum of encrypted values to open.
func (n *Node) conclude(ctx context.Context, v ledger.View, d federation.Conclude) error {
	w, err := n.work(ctx, v, d.Job)
	if err != nil {
		return err
	}
	if err := n.prepare(ctx, v, w); err != nil {
		return err
	}
	j, _ := ledger.JobOf(v, d.Job)
	r := &ledger.ModelRecord{Job: j.ID, Previous: j.Last}
	if r.Shares, err = n.said(v, w, ledger.PostShare, j.End()); err != nil {
		return err
	}
	if j.Rounds > 0 {
		if r.Copies, err = n.copies(ctx, v, w); err != nil {
			return err
		}
	}
	weights, err := n.output(ctx, v, w, j.Steps, 1)
	if err != nil {
		return err
	}
	r.State = weights.Digest()
	own := ledger.Key(n.Signing.Public().(ed25519.PublicKey))
	rest, ok := n.posts.get(ledger.Post{Scope: j.ID, Kind: ledger.PostRemainder, Step: j.Steps, Sender: own})
	if !ok {
		return errors.New("the remainder of the model is not here")
	}
	r.Remainder = rest.Blob
	values, ops, err := n.values(ctx, v, w, r.Copies)
	if err != nil {
		return err
	}
	if values != nil {
		if _, err := n.Store.Blobs.Put(values.Append(nil)); err != nil {
			return err
		}
		if err := n.keepOps(ops); err != nil {
			return err
		}
		r.Values, r.C1 = values.Digest(), values.C1Digest()
		for _, op := range ops {
			r.Ops = append(r.Ops, op.Digest())
		}
	}
	return n.submit(ctx, r)
}

// values is the sum of the companies' encrypted values over the valued steps,
// nil if there are none or the key epoch's budget of releases is spent.
func (n *Node) values(ctx context.Context, v ledger.View, w *work, copies []ledger.Pair) (*he.Ciphertext, []circuit.Op, error) {
	e, _ := ledger.EpochOf(v, w.job.Task.Epoch)
	if e.Releases >= ledger.GenesisOf(v).Releases {
		return nil, nil, nil
	}
	return w.evaluator.Values(n.left(ctx, v, w), copies)
}

// openValues adds up the shares of the release and records what it opens.
func (n *Node) openValues(ctx context.Context, v ledger.View, d federation.OpenValues) error {
	w, err := n.work(ctx, v, d.Job)
	if err != nil {
		return err
	}
	j, _ := ledger.JobOf(v, d.Job)
	m, _ := ledger.ModelOf(v, j.Model)
	ticket, ok := ledger.TicketOf(v, j.ID, j.Step)
	if !ok {
		return errors.New("the release has no ticket")
	}
	sum, err := n.blob(ctx, v)(m.Values)
	if err != nil {
		return err
	}
	record := &ledger.Values{Job: j.ID}
	posts, err := n.posted(v, w, ledger.PostOpening, j.Step)
	if err != nil {
		return err
	}
	shares := make([][]byte, len(posts))
	for i, p := range posts {
		record.Shares = append(record.Shares, p.Append(nil))
		if shares[i], err = n.blob(ctx, v)(p.Blob); err != nil {
			return err
		}
	}
	if record.Values, err = w.job.Open(ticket, sum, m.Copies, shares); err != nil {
		return err
	}
	return n.submit(ctx, record)
}
