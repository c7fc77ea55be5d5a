package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
)

// A world is a chain with companies ann, bob and cal, of whom cal keeps its rows
// at home, nodes north and south of different owners, south2 of south's, and
// validator v1. It applies one transaction a block.
type world struct {
	tb     tester
	state  *Memory
	now    int64
	height int64
	signed int64 // transactions: no two have the same bytes
	off    defence
	story  *strings.Builder // if not nil, of all that happens
}

// A tester is a test, or a run of a property.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

const (
	chain = "test"
	start = 1_700_000_000_000
	hour  = 3600 * 1000
)

var (
	companies = []string{"ann", "bob", "cal"}
	owners    = []string{"Owner of ann", "Owner of bob", "Owner of cal"}
)

// signer is the signing key of a name.
func signer(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("signing " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func pub(name string) Key { return Key(signer(name).Public().(ed25519.PublicKey)) }

func tls(name string) Key { return sha256.Sum256([]byte("tls " + name)) }

// d is some digest.
func d(parts ...any) Digest { return sha256.Sum256([]byte(fmt.Sprint(parts...))) }

// member is a member of a name and its roles, owned by "Owner of name".
func member(name string, roles Roles) Member {
	m := Member{Name: name, Owner: "Owner of " + name, Roles: roles, Signing: pub(name), TLS: tls(name)}
	if roles.Has(Aggregator) || roles.Has(Validator) {
		m.Address = name + ".example:7000"
	}
	if roles.Has(Validator) {
		m.Vote = d("vote", name)
	}
	return m
}

func founding() Genesis {
	south2 := member("south2", Aggregator)
	south2.Owner = "Owner of south"
	return Genesis{
		Chain: chain, Train: d("train"), Release: d("release"), Serve: d("serve"), Mode: Quorum, Quorum: 2, Releases: 2,
		Members: []Member{member("ann", Company), member("bob", Company), member("cal", Company),
			member("north", Aggregator), member("south", Aggregator), south2, member("east", Aggregator),
			member("v1", Validator), member("peer", ModelPeer)},
	}
}

func newWorld(tb tester) *world { return foundWorld(tb, founding()) }

func foundWorld(tb tester, g Genesis) *world {
	tb.Helper()
	writes, err := g.Writes()
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, state: new(Memory), now: start}
	w.state.Write(writes)
	return w
}

// fork is a world that goes its own way from here.
func (w *world) fork() *world {
	out := *w
	out.state = w.state.Clone()
	return &out
}

// sign is a transaction of from's, of an expiry that no other has.
func (w *world) sign(from string, b Body) []byte {
	w.signed++
	return SignTx(chain, w.now+60_000+w.signed, b, signer(from))
}

// apply makes a block of transactions, one second after the last.
func (w *world) apply(txs ...[]byte) []Result {
	w.now, w.height = w.now+1000, w.height+1
	return w.block(txs).Results
}

// block makes a block that also proves misbehaviour.
func (w *world) block(txs [][]byte, proved ...Misbehaviour) Outcome {
	s := newState(w.state, w.now)
	s.off, s.height = w.off, w.height
	s.misbehaved(proved)
	out := s.applyBlock(txs)
	w.state.Write(out.Writes)
	if all, supply := Credits(w.state), Supply(w.state); all != supply {
		w.tb.Fatalf("%d credits of a supply of %d", all, supply)
	}
	w.tell(txs, out)
	return out
}

// do applies what from says.
func (w *world) do(from string, b Body) Result {
	w.tb.Helper()
	return w.apply(w.sign(from, b))[0]
}

// must applies what is in order.
func (w *world) must(from string, b Body) {
	w.tb.Helper()
	if r := w.do(from, b); r.Code != OK {
		w.tb.Fatalf("%s's %T: code %d, %s", from, b, r.Code, r.Detail)
	}
}

// refused applies what is refused for a reason.
func (w *world) refused(want Code, from string, b Body) {
	w.tb.Helper()
	if r := w.do(from, b); r.Code != want {
		w.tb.Fatalf("%s's %T: code %d (%s), want %d", from, b, r.Code, r.Detail, want)
	}
}

// keys takes the roster through its base ceremony.
func (w *world) keys() *world {
	w.tb.Helper()
	w.must("ann", &OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1, 2}})
	w.ceremony(BaseCeremony(chain, 1, 1))
	return w
}

// ceremony takes one through all of its stages.
func (w *world) ceremony(id Digest) {
	w.tb.Helper()
	y, _ := CeremonyOf(w.state, id)
	for stage := range y.Stages {
		w.stage(id, uint8(stage))
	}
	for _, p := range y.Parties {
		w.must(p, &KeyAck{Ceremony: id, Keys: d("keys", id)})
	}
}

// stage takes a ceremony through one stage.
func (w *world) stage(id Digest, stage uint8) {
	w.tb.Helper()
	y, _ := CeremonyOf(w.state, id)
	for _, p := range y.Parties {
		w.must(p, &Commit{Ceremony: id, Stage: stage, Promise: []byte("promise of " + p)})
	}
	for _, p := range y.Parties {
		w.must(p, reveal(y, stage, p))
	}
}

func reveal(y *Ceremony, stage uint8, party string) *Reveal {
	r := &Reveal{Ceremony: y.ID, Stage: stage}
	if y.Stages[stage] == 1 {
		r.Inline = []byte("nonce of " + party)
		return r
	}
	for part := range y.Stages[stage] {
		r.Blobs = append(r.Blobs, d(party, stage, part))
	}
	return r
}

var loans = TaskID(chain, "loans")

func openLoans() *OpenTask {
	return &OpenTask{Name: "loans", Epoch: 1, Schema: []byte("age\nincome\nterm\ndefault"), Columns: 4, Nodes: []string{"north", "south", "south2"}, Quorum: 2}
}

// task opens task loans, with consents and keys.
func (w *world) task() *world {
	w.tb.Helper()
	w.keys()
	w.must("peer", openLoans())
	for _, c := range companies {
		w.must(c, &Consent{Task: loans, Local: c == "cal", Rows: 100, Validation: 10})
	}
	w.must("bob", &OpenKeySet{Task: loans, Packing: Packing{Width: 4, Baby: 1, Stack: 1}, Rotations: []int32{1, 2}, Stages: []uint16{2}})
	w.ceremony(KeySetCeremony(loans, 1))
	return w
}

// contribution is a company's of a task, which nodes say they hold.
func contribution(task Digest, company string, use ContributionKind, nodes ...string) *Contribute {
	x := &Contribute{Task: task, Use: use, Rows: 100, Commitment: d("rows of", company, use)}
	if use == Validation {
		x.Rows = 10
	}
	if company == "cal" {
		return x
	}
	x.Manifest, x.Bytes, x.Blocks = d("manifest of", company, use), 1<<20, 2
	for _, n := range nodes {
		x.Held = append(x.Held, heldBy(n, HeldMessage(task, company, x.Manifest, x.Bytes)))
	}
	return x
}

func heldBy(node string, message []byte) Held {
	return Held{Node: node, Signature: Signature(ed25519.Sign(signer(node), message))}
}

// rows are all contributed.
func (w *world) rows() *world {
	w.tb.Helper()
	w.task()
	for _, c := range companies {
		w.must(c, contribution(loans, c, Training, "north", "south"))
		w.must(c, contribution(loans, c, Validation, "north", "south"))
	}
	return w
}

func openJob(salt uint64) *OpenJob {
	return &OpenJob{Task: loans, Algorithm: Logistic, Steps: 2, LearningRate: 1 << 31, Valued: []uint16{2}, Nodes: []string{"north", "south"}, Quorum: 2, Salt: salt}
}

// job opens a job that all approve.
func (w *world) job(o *OpenJob) Digest {
	w.tb.Helper()
	w.must("peer", o)
	id := JobID("peer", o)
	for _, c := range companies {
		w.must(c, &ApproveJob{id})
	}
	return id
}

// record is what an honest node says of the next step of a job.
func (w *world) record(job Digest) *StepRecord {
	j, ok := JobOf(w.state, job)
	if !ok {
		w.tb.Fatalf("no job %x", job)
	}
	r := &StepRecord{Job: job, Step: j.Step, Previous: j.Last, Ops: []Digest{d("op", j.Step)},
		Inputs: []Digest{d("input", job, j.Step)}, C1s: []Digest{d("c1", job, j.Step)}, Level: 1, LogScale: 40}
	if j.Step > 0 {
		r.Shares = shares(j.Step - 1)
		for index := range uint16(2) {
			if j.Step <= j.Steps && (index == 0 || j.IsValued(j.Step)) {
				r.Updates = append(r.Updates, update(job, j.Step, index).Append(nil))
			}
		}
	}
	return r
}

func shares(step uint16) (out []Digest) {
	for _, c := range companies {
		out = append(out, d("share", c, step))
	}
	return out
}

// update is cal's, of a step of a job.
func update(job Digest, step, index uint16) Post {
	return Post{Chain: chain, Epoch: 1, Profile: d("train"), Scope: job, Kind: PostUpdate, Step: step, Index: index,
		Blob: d("update", job, step, index), Size: 1000, Previous: d("point", job, step)}.Sign(signer("cal"))
}

// steps are recorded by both nodes until the model is due.
func (w *world) steps(job Digest) {
	w.tb.Helper()
	for j, _ := JobOf(w.state, job); j.Step <= j.End(); j, _ = JobOf(w.state, job) {
		r := w.record(job)
		w.must("north", r)
		w.must("south", r)
	}
}

// openings are the companies' shares of a job's release.
func (w *world) openings(job Digest) (out [][]byte) {
	j, _ := JobOf(w.state, job)
	ticket, _ := TicketOf(w.state, job, j.Step)
	for _, c := range companies {
		p := Post{Chain: chain, Epoch: 1, Profile: d("release"), Scope: job, Kind: PostOpening, Step: j.Step, Blob: d("opening", job, c), Size: 1000}
		if ticket != nil {
			p.Previous = ticket.Record
		}
		out = append(out, p.Sign(signer(c)).Append(nil))
	}
	return out
}

// modelRecord is what an honest node says of a job's end.
func (w *world) modelRecord(job Digest) *ModelRecord {
	j, _ := JobOf(w.state, job)
	return &ModelRecord{Job: job, Previous: j.Last, Shares: shares(j.End()), State: d("state", job), Remainder: d("remainder", job),
		Values: d("values", job), C1: d("c1 of values", job)}
}

// model trains a model and serves it.
func (w *world) model() (job, model Digest) {
	w.tb.Helper()
	w.rows()
	return w.train(openJob(1), 5<<33, -3<<33, 1<<40)
}

// train trains another model of the same rows, of such values, and serves it.
func (w *world) train(o *OpenJob, values ...int64) (job, model Digest) {
	w.tb.Helper()
	job = w.job(o)
	w.steps(job)
	r := w.modelRecord(job)
	w.must("north", r)
	w.must("south", r)
	for _, n := range []string{"north", "south"} {
		w.must(n, &Values{Job: job, Shares: w.openings(job), Values: Coarse(values, len(companies))})
	}
	for _, c := range companies {
		w.must(c, &Serve{Model: r.Model(), PairKey: d("pair key", c)})
	}
	return job, r.Model()
}

func admitQuinn() *AdmitQuerier {
	return &AdmitQuerier{Name: "quinn", Signing: pub("quinn"), TLS: tls("quinn"), Task: loans, PublicKey: d("public key"), Quota: 100}
}

// jobState is where a job is.
func (w *world) jobState(job Digest) JobState {
	w.tb.Helper()
	j, ok := JobOf(w.state, job)
	if !ok {
		w.tb.Fatalf("no job %x", job)
	}
	return j.State
}
