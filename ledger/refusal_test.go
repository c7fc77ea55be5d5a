package ledger

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
)

// A refusal is a sentence: in this state, from's body is refused for a reason.
type refusal struct {
	what string
	from string
	body Body
	want Code
}

// refusals checks each in the same state.
func (w *world) refusals(t *testing.T, rows ...refusal) {
	t.Helper()
	before := w.digest()
	for _, x := range rows {
		if r := Check(w.state, w.now, w.sign(x.from, x.body)); r.Code != x.want || r.Code != OK && r.Detail == "" {
			t.Errorf("%s: code %d (%s), want %d", x.what, r.Code, r.Detail, x.want)
		}
		if r := w.do(x.from, x.body); x.want != OK && r.Code != x.want {
			t.Errorf("%s, in a block: code %d (%s), want %d", x.what, r.Code, r.Detail, x.want)
		} else if x.want == OK {
			t.Errorf("%s: a refusal of nothing", x.what)
		}
	}
	if w.digest() != before {
		t.Error("what was refused has changed the state")
	}
}

// edit is a copy of a body with a change.
func edit[T any](body *T, change func(*T)) *T {
	out := *body
	change(&out)
	return &out
}

// What all transactions have in common.
func TestRefusedEnvelopes(t *testing.T) {
	w := newWorld(t)
	body := &OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1}}
	tx := func(chain string, ahead int64, from string) []byte {
		return SignTx(chain, w.now+ahead, body, signer(from))
	}
	good := tx(chain, 1000, "ann")
	forged := slices.Clone(good)
	forged[len(forged)-1] ^= 1
	swapped := slices.Clone(good)
	swapped[5+len(chain)+7]++ // its expiry
	for _, x := range []struct {
		what string
		tx   []byte
		want Code
	}{
		{"nothing", nil, Malformed},
		{"a byte too many", append(slices.Clone(good), 0), Malformed},
		{"a byte too few", good[:len(good)-1], Malformed},
		{"more than a transaction has", make([]byte, MaxTx+1), Malformed},
		{"another version", append([]byte{2}, good[1:]...), Malformed},
		{"another chain", tx("elsewhere", 1000, "ann"), WrongChain},
		{"expired now", tx(chain, 0, "ann"), Expired},
		{"expired long ago", tx(chain, -hour, "ann"), Expired},
		{"too far ahead", tx(chain, MaxExpiry+1, "ann"), Expired},
		{"a time that wraps around", tx(chain, -w.now-1<<62, "ann"), Expired},
		{"of nobody", tx(chain, 1000, "mal"), Unknown},
		{"a signature of something else", forged, BadSignature},
		{"an expiry that was not signed", swapped, BadSignature},
		{"in order", good, OK},
		{"as far ahead as may be", tx(chain, MaxExpiry, "ann"), OK},
	} {
		if r := Check(w.state, w.now, x.tx); r.Code != x.want {
			t.Errorf("%s: code %d (%s), want %d", x.what, r.Code, r.Detail, x.want)
		}
	}
	if r := Check(new(Memory), w.now, good); r.Code != WrongState {
		t.Errorf("before the genesis: code %d", r.Code)
	}
	longer := tx(chain, 5000, "ann")
	w.apply(longer)
	if r := w.apply(longer)[0]; r.Code != Replayed {
		t.Errorf("again: code %d", r.Code)
	}
	w.must("ann", &Revoke{"cal"})
	w.must("bob", &Revoke{"cal"})
	w.refused(Forbidden, "cal", body)
}

func TestRefusedMembers(t *testing.T) {
	w := newWorld(t)
	dee := &Join{member("dee", Aggregator)}
	w.must("dee", dee)
	w.must("ann", &Approve{dee.Digest()})
	w.must("ann", &Revoke{"east"})
	as := func(change func(*Member)) *Join { return edit(dee, func(j *Join) { change(&j.Member) }) }
	w.refusals(t,
		refusal{"a request again", "dee", dee, Replayed},
		refusal{"a request in another's name", "ann", dee, Conflict},
		refusal{"a name that is taken", "dee", as(func(m *Member) { m.Name = "ann" }), Conflict},
		refusal{"a TLS key that is taken", "dee", as(func(m *Member) { m.TLS = tls("ann") }), Conflict},
		refusal{"another's signing key for TLS", "dee", as(func(m *Member) { m.TLS = pub("ann") }), Conflict},
		refusal{"revoked from the start", "dee", as(func(m *Member) { m.Revoked = true }), Conflict},
		refusal{"no role", "dee", as(func(m *Member) { m.Roles = 0 }), Malformed},
		refusal{"an unknown role", "dee", as(func(m *Member) { m.Roles = 16 }), Malformed},
		refusal{"keys and ciphertexts in one hand", "dee", as(func(m *Member) { m.Roles = Company | Aggregator }), Malformed},
		refusal{"no owner", "dee", as(func(m *Member) { m.Owner = "" }), Malformed},
		refusal{"an owner of a page", "dee", as(func(m *Member) { m.Owner = strings.Repeat("x", MaxOwner+1) }), Malformed},
		refusal{"an owner of two lines", "dee", as(func(m *Member) { m.Owner = "Owner of ann\n" }), Malformed},
		refusal{"an owner like another's but for a space", "dee", as(func(m *Member) { m.Owner = "Owner of ann " }), Malformed},
		refusal{"an address that moves the cursor", "dee", as(func(m *Member) { m.Address = "\x1b[2Jdee.example:1" }), Malformed},
		refusal{"no address", "dee", as(func(m *Member) { m.Address = "" }), Malformed},
		refusal{"a consensus key without the role", "dee", as(func(m *Member) { m.Vote = d("vote") }), Malformed},
		refusal{"one key for both", "dee", as(func(m *Member) { m.TLS = m.Signing }), Malformed},
		refusal{"no TLS key", "dee", as(func(m *Member) { m.TLS = Key{} }), Malformed},
		refusal{"approval of nobody", "ann", &Approve{d("nobody")}, Unknown},
		refusal{"approval twice", "ann", &Approve{dee.Digest()}, Replayed},
		refusal{"approval by a node", "north", &Approve{dee.Digest()}, Forbidden},
		refusal{"revocation of nobody", "ann", &Revoke{"nobody"}, Unknown},
		refusal{"revocation twice", "ann", &Revoke{"east"}, Replayed},
		refusal{"revocation by a validator", "v1", &Revoke{"ann"}, Forbidden},
		refusal{"a TLS key of another", "north", &Renew{tls("ann"), "north.example:1"}, Conflict},
		refusal{"a signing key for TLS", "north", &Renew{pub("ann"), "north.example:1"}, Conflict},
		refusal{"its own signing key for TLS", "north", &Renew{pub("north"), "north.example:1"}, Conflict},
		refusal{"no address any more", "north", &Renew{tls("new"), ""}, Malformed},
		refusal{"no TLS key any more", "north", &Renew{Key{}, "north.example:1"}, Malformed},
		refusal{"nothing new", "north", &Renew{tls("north"), "north.example:7000"}, Replayed},
		refusal{"a member's request", "ann", &Join{member("ann", Company)}, Conflict},
	)
	w.must("bob", &Approve{dee.Digest()})
	w.must("bob", &Revoke{"east"})
	w.refusals(t,
		refusal{"approval of a member", "cal", &Approve{dee.Digest()}, Unknown},
		refusal{"revocation of one revoked", "cal", &Revoke{"east"}, Replayed},
		refusal{"a request under a revoked name", "eve", edit(&Join{member("east", Aggregator)}, func(j *Join) { j.Member.Signing, j.Member.TLS = pub("eve"), tls("eve") }), Conflict},
		refusal{"a request with a revoked TLS key", "eve", edit(&Join{member("eve", Company)}, func(j *Join) { j.Member.TLS = tls("east") }), Conflict},
		refusal{"a transaction with a revoked key", "east", &CloseEpoch{}, Forbidden},
	)
}

func TestRefusedCeremonies(t *testing.T) {
	w := newWorld(t)
	open := &OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1, 2}}
	id := BaseCeremony(chain, 1, 1)
	commit := &Commit{Ceremony: id, Promise: []byte("promise")}
	w.refusals(t,
		refusal{"the epoch after the next", "ann", edit(open, func(o *OpenRoster) { o.Epoch = 2 }), WrongState},
		refusal{"a party alone", "ann", edit(open, func(o *OpenRoster) { o.Parties = []string{"ann"} }), Malformed},
		refusal{"parties out of order", "ann", edit(open, func(o *OpenRoster) { o.Parties = []string{"bob", "ann", "cal"} }), Malformed},
		refusal{"a party twice", "ann", edit(open, func(o *OpenRoster) { o.Parties = []string{"ann", "ann", "bob"} }), Forbidden},
		refusal{"a node as a party", "ann", edit(open, func(o *OpenRoster) { o.Parties = []string{"ann", "bob", "north"} }), Forbidden},
		refusal{"a party that is nobody", "ann", edit(open, func(o *OpenRoster) { o.Parties = []string{"ann", "bob", "mal"} }), Forbidden},
		refusal{"others' roster", "cal", edit(open, func(o *OpenRoster) { o.Parties = []string{"ann", "bob"} }), Malformed},
		refusal{"no stage", "ann", edit(open, func(o *OpenRoster) { o.Stages = nil }), Malformed},
		refusal{"a stage of nothing", "ann", edit(open, func(o *OpenRoster) { o.Stages = []uint16{0} }), Malformed},
		refusal{"a stage of too much", "ann", edit(open, func(o *OpenRoster) { o.Stages = []uint16{MaxParts + 1} }), Malformed},
		refusal{"a commitment to nothing", "ann", commit, Unknown},
		refusal{"an acknowledgement of nothing", "ann", &KeyAck{Ceremony: id, Keys: d("keys")}, Unknown},
		refusal{"the end of nothing", "ann", &AbortCeremony{Ceremony: id}, Unknown},
	)
	w.must("ann", open)
	y, _ := CeremonyOf(w.state, id)
	w.must("ann", commit)
	w.refusals(t,
		refusal{"another attempt meanwhile", "bob", open, Replayed},
		refusal{"a commitment again", "ann", commit, Replayed},
		refusal{"another commitment: equivocation", "ann", edit(commit, func(c *Commit) { c.Promise = []byte("other") }), Conflict},
		refusal{"a stranger's commitment", "north", commit, Forbidden},
		refusal{"a commitment of the next stage", "bob", edit(commit, func(c *Commit) { c.Stage = 1 }), WrongState},
		refusal{"a reveal before all have committed", "ann", reveal(y, 0, "ann"), WrongState},
		refusal{"an acknowledgement before the end", "ann", &KeyAck{Ceremony: id, Keys: d("keys")}, WrongState},
		refusal{"a stranger's end", "north", &AbortCeremony{Ceremony: id}, Forbidden},
		refusal{"a culprit from elsewhere", "bob", &AbortCeremony{Ceremony: id, Culprits: []string{"north"}}, Malformed},
	)
}

func TestRefusedReveals(t *testing.T) {
	w := newWorld(t)
	open := &OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1, 2}}
	id := BaseCeremony(chain, 1, 1)
	w.must("ann", open)
	y, _ := CeremonyOf(w.state, id)
	for _, p := range companies {
		w.must(p, &Commit{Ceremony: id, Promise: []byte("promise")})
	}
	w.must("ann", reveal(y, 0, "ann"))
	w.refusals(t,
		refusal{"a reveal of nothing", "bob", &Reveal{Ceremony: id}, Malformed},
		refusal{"a reveal of too many parts", "bob", &Reveal{Ceremony: id, Blobs: []Digest{d(1), d(2)}}, Malformed},
		refusal{"a reveal both ways", "bob", &Reveal{Ceremony: id, Inline: []byte("nonce"), Blobs: []Digest{d(1)}}, Malformed},
		refusal{"another reveal", "ann", &Reveal{Ceremony: id, Inline: []byte("other")}, Conflict},
	)
	late := w.fork()
	late.now += DefaultPatience + 1
	late.refusals(t, refusal{"a reveal past the deadline", "bob", reveal(y, 0, "bob"), Late})
	late.must("north", &AbortCeremony{Ceremony: id, Culprits: []string{"ann"}, Cause: "a slander"})
	if y, _ := CeremonyOf(late.state, id); y.State != Failed || !slices.Equal(y.Culprits, []string{"bob", "cal"}) {
		t.Errorf("past the deadline: state %d, culprits %v; who did not reveal is to be named", y.State, y.Culprits)
	}
	late.refusals(t,
		refusal{"a reveal of a ceremony that failed", "bob", reveal(y, 0, "bob"), WrongState},
		refusal{"the end of one that is over", "bob", &AbortCeremony{Ceremony: id}, Replayed},
	)
	late.must("ann", open) // another attempt
	if n := Attempts(late.state, 1); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}

}

func TestRefusedAcks(t *testing.T) {
	w := newWorld(t)
	id := BaseCeremony(chain, 1, 1)
	w.must("ann", &OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1, 2}})
	w.stage(id, 0)
	w.stage(id, 1)
	differ := w.fork()
	w.must("ann", &KeyAck{Ceremony: id, Keys: d("keys")})
	w.refusals(t,
		refusal{"an acknowledgement again", "ann", &KeyAck{Ceremony: id, Keys: d("keys")}, Replayed},
		refusal{"another acknowledgement", "ann", &KeyAck{Ceremony: id, Keys: d("others")}, Conflict},
		refusal{"a stranger's acknowledgement", "north", &KeyAck{Ceremony: id, Keys: d("keys")}, Forbidden},
		refusal{"an acknowledgement of nothing", "bob", &KeyAck{Ceremony: id}, Malformed},
	)
	differ.must("ann", &KeyAck{Ceremony: id, Keys: d("keys")})
	differ.must("bob", &KeyAck{Ceremony: id, Keys: d("others")})
	if y, _ := CeremonyOf(differ.state, id); y.State != Failed {
		t.Errorf("different keys: state %d, want a failure", y.State)
	}
}

func TestRefusedTasks(t *testing.T) {
	w := newWorld(t)
	w.refusals(t, refusal{"a task before there are keys", "ann", openLoans(), WrongState})
	w.keys()
	w.refusals(t,
		refusal{"a node's task", "north", openLoans(), Forbidden},
		refusal{"a task of the next epoch", "ann", edit(openLoans(), func(o *OpenTask) { o.Epoch = 2 }), WrongState},
		refusal{"one column", "ann", edit(openLoans(), func(o *OpenTask) { o.Columns = 1 }), OverLimit},
		refusal{"too many columns", "ann", edit(openLoans(), func(o *OpenTask) { o.Columns = MaxColumns + 1 }), OverLimit},
		refusal{"no schema", "ann", edit(openLoans(), func(o *OpenTask) { o.Schema = nil }), OverLimit},
		refusal{"a quorum below the genesis's", "ann", edit(openLoans(), func(o *OpenTask) { o.Quorum = 1 }), OverLimit},
		refusal{"a quorum of one owner's nodes", "ann", edit(openLoans(), func(o *OpenTask) { o.Nodes = []string{"south", "south2"} }), OverLimit},
		refusal{"a company as a node", "ann", edit(openLoans(), func(o *OpenTask) { o.Nodes = []string{"ann", "north", "south"} }), Forbidden},
		refusal{"nodes out of order", "ann", edit(openLoans(), func(o *OpenTask) { o.Nodes = []string{"south", "north"} }), Malformed},
		refusal{"a node twice", "ann", edit(openLoans(), func(o *OpenTask) { o.Nodes = []string{"north", "north", "south"} }), Malformed},
		refusal{"consent to nothing", "ann", &Consent{Task: loans, Rows: 1}, Unknown},
		refusal{"keys for nothing", "ann", &OpenKeySet{Task: loans, Stages: []uint16{1}}, Unknown},
		refusal{"rows for nothing", "ann", contribution(loans, "ann", Training), Unknown},
	)
	w.must("peer", openLoans())
	w.must("ann", &Consent{Task: loans, Rows: 100, Validation: 10})
	keys := &OpenKeySet{Task: loans, Rotations: []int32{1}, Stages: []uint16{1}}
	w.refusals(t,
		refusal{"a task again", "ann", openLoans(), Conflict},
		refusal{"consent again", "ann", &Consent{Task: loans, Rows: 100, Validation: 10}, Replayed},
		refusal{"consent to other rows", "ann", &Consent{Task: loans, Rows: 99, Validation: 10}, Conflict},
		refusal{"consent to no rows", "bob", &Consent{Task: loans}, OverLimit},
		refusal{"consent to too many rows", "bob", &Consent{Task: loans, Rows: MaxRows + 1}, OverLimit},
		refusal{"a node's consent", "north", &Consent{Task: loans, Rows: 1}, Forbidden},
		refusal{"keys before the consents", "ann", keys, WrongState},
		refusal{"a node's key set", "north", keys, Forbidden},
		refusal{"rows before the keys", "ann", contribution(loans, "ann", Training, "north", "south"), WrongState},
		refusal{"rows without consent", "bob", contribution(loans, "bob", Training, "north", "south"), Forbidden},
		refusal{"a job before the keys", "ann", openJob(1), WrongState},
	)
	w.must("bob", &Consent{Task: loans, Rows: 100, Validation: 10})
	w.must("cal", &Consent{Task: loans, Local: true, Rows: 100, Validation: 10})
	w.must("ann", keys)
	w.refusals(t, refusal{"keys while they are made", "bob", keys, Replayed})
	w.must("bob", &AbortCeremony{Ceremony: KeySetCeremony(loans, 1), Cause: "another plan"})
	w.must("bob", keys)
	w.ceremony(KeySetCeremony(loans, 2))
	w.refusals(t, refusal{"keys that are made", "bob", keys, Replayed})
}

func TestRefusedContributions(t *testing.T) {
	w := newWorld(t).task()
	x := contribution(loans, "ann", Training, "north", "south")
	forged := edit(x, func(x *Contribute) {
		x.Held = []Held{x.Held[0], {"south", Signature(ed25519.Sign(signer("mal"), HeldMessage(loans, "ann", x.Manifest, x.Bytes)))}}
	})
	w.refusals(t,
		refusal{"no use", "ann", edit(x, func(x *Contribute) { x.Use = 3 }), Malformed},
		refusal{"other rows than consented", "ann", edit(x, func(x *Contribute) { x.Rows = 99 }), Conflict},
		refusal{"no blocks", "ann", edit(x, func(x *Contribute) { x.Blocks = 0 }), Malformed},
		refusal{"nobody holds it", "ann", edit(x, func(x *Contribute) { x.Held = nil }), Malformed},
		refusal{"one node holds it", "ann", contribution(loans, "ann", Training, "north"), OverLimit},
		refusal{"one owner's nodes hold it", "ann", contribution(loans, "ann", Training, "south", "south2"), OverLimit},
		refusal{"a node twice", "ann", contribution(loans, "ann", Training, "north", "north"), OverLimit},
		refusal{"a node of no such task holds it", "ann", contribution(loans, "ann", Training, "east", "north"), Forbidden},
		refusal{"a node's word forged", "ann", forged, BadSignature},
		refusal{"words about another task", "ann", edit(contribution(d("another"), "ann", Training, "north", "south"), func(x *Contribute) { x.Task = loans }), BadSignature},
		refusal{"words about fewer bytes", "ann", edit(x, func(x *Contribute) { x.Bytes++ }), BadSignature},
		refusal{"a stranger's rows", "north", x, Forbidden},
		refusal{"a local company's blocks", "cal", edit(x, func(x *Contribute) {}), Malformed},
		refusal{"a local company's bytes", "cal", edit(contribution(loans, "cal", Training), func(x *Contribute) { x.Bytes = 1 }), Malformed},
	)
	w.must("ann", x)
	w.refusals(t,
		refusal{"rows again", "ann", x, Replayed},
		refusal{"other rows", "ann", edit(x, func(x *Contribute) { x.Manifest = d("other") }), Conflict},
		refusal{"the same rows for another use", "ann", edit(contribution(loans, "ann", Validation), func(v *Contribute) { v.Manifest, v.Bytes, v.Blocks, v.Held = x.Manifest, x.Bytes, x.Blocks, x.Held }), Conflict},
		refusal{"a job before all rows are there", "peer", openJob(1), WrongState},
	)
	w.must("ann", &Revoke{"north"})
	w.must("bob", &Revoke{"north"})
	w.refusals(t, refusal{"a revoked node holds it", "bob", contribution(loans, "bob", Training, "north", "south"), Forbidden})
}
