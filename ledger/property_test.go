package ledger

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A sorted is a state as a map, sorted whenever it is read: what Memory and state
// are held to.
type sorted map[string][]byte

func (p sorted) Get(key []byte) []byte { return p[string(key)] }

func (p sorted) Range(prefix []byte, yield func(key, value []byte) bool) {
	for _, k := range slices.Sorted(maps.Keys(p)) {
		if bytes.HasPrefix([]byte(k), prefix) && !yield([]byte(k), p[k]) {
			return
		}
	}
}

func (p sorted) write(writes []Write) {
	for _, w := range writes {
		if w.Value == nil {
			delete(p, string(w.Key))
		} else {
			p[string(w.Key)] = w.Value
		}
	}
}

func all(v View, prefix string, most int) (out []string) {
	v.Range([]byte(prefix), func(k, value []byte) bool {
		out = append(out, fmt.Sprintf("%s=%s", k, value))
		return len(out) < most
	})
	return out
}

// A state over a state over a view reads like one map, whatever was written and
// deleted in which of them, and however early the reader stops.
func TestRangeIsOfOneMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SampledFrom([]string{"", "a", "a/", "a/1", "a/2", "a/\x00", "a/\xff", "b", "b/1"})
		writes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Write {
			w := Write{Key: []byte(keys.Draw(t, "key"))}
			if rapid.Bool().Draw(t, "put") {
				w.Value = []byte(rapid.StringN(1, 2, 4).Draw(t, "value"))
			}
			return w
		}), 0, 12)
		want, memory := sorted{}, new(Memory)
		below := writes.Draw(t, "below")
		want.write(below)
		memory.Write(below)
		outer := newState(memory, 0)
		inner := outer.above()
		for _, s := range []*state{outer, inner} {
			for _, w := range writes.Draw(t, "above") {
				s.set(string(w.Key), w.Value)
				want.write([]Write{w})
			}
		}
		prefix, most := keys.Draw(t, "prefix"), rapid.IntRange(1, 10).Draw(t, "most")
		if got, want := all(inner, prefix, most), all(want, prefix, most); !slices.Equal(got, want) {
			t.Fatalf("%q, at most %d: %q, want %q", prefix, most, got, want)
		}
		for _, k := range inner.keys {
			outer.set(k, inner.written[k])
		}
		memory.Write(outer.writes())
		if got, want := all(memory, "", 100), all(want, "", 100); !slices.Equal(got, want) {
			t.Fatalf("written down: %q, want %q", got, want)
		}
	})
}

// worlds are those that histories begin in: each has more to refuse and accept.
func worlds(tb tester) []*world {
	asked := newWorld(tb)
	asked.must("dee", &Join{member("dee", Company)})
	job := newWorld(tb).rows()
	id := job.job(openJob(1))
	job.must("north", job.record(id))
	disputed := job.fork()
	wrong := disputed.record(id)
	wrong.Level = 9
	disputed.must("south", wrong)
	disputed.must("ann", &ReplaceNode{id, "south", "east"})
	disputed.must("bob", &ReplaceNode{id, "south", "east"})
	served := newWorld(tb)
	served.model()
	served.must("ann", admitQuinn())
	served.job(openJob(2))
	return []*world{asked, newWorld(tb).task(), job, disputed, served}
}

// anyTx draws a transaction that may be in order, or nearly.
func anyTx(w *world) *rapid.Generator[[]byte] {
	people := rapid.SampledFrom([]string{"ann", "bob", "cal", "north", "south", "south2", "east", "v1", "peer", "dee", "quinn", "mal"})
	return rapid.Custom(func(t *rapid.T) []byte {
		body, from := anyBody(t, w, people), people.Draw(t, "from")
		if likely := rapid.SampledFrom(rolesOf(body)).Draw(t, "likely"); rapid.IntRange(0, 3).Draw(t, "misfit") > 0 {
			from = likely
		}
		ahead := rapid.Int64Range(1, MaxExpiry).Draw(t, "ahead")
		if rapid.IntRange(0, 19).Draw(t, "untimely") == 0 {
			ahead = rapid.SampledFrom([]int64{-hour, 0, MaxExpiry + 1}).Draw(t, "by")
		}
		b := SignTx(chain, w.now+ahead, body, signer(from))
		if rapid.IntRange(0, 9).Draw(t, "damage") == 0 {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		}
		return b
	})
}

// rolesOf are who sends such a body.
func rolesOf(b Body) []string {
	switch b := b.(type) {
	case *StepRecord, *ModelRecord, *Values, *Usage:
		return []string{"north", "south", "east"}
	case *OpenJob:
		return []string{"peer"}
	case *Join:
		return []string{b.Member.Name}
	}
	return companies
}

func anyBody(t *rapid.T, w *world, people *rapid.Generator[string]) Body {
	name, other := people.Draw(t, "name"), people.Draw(t, "other")
	n := uint64(rapid.IntRange(0, 3).Draw(t, "n"))
	join := Join{member("dee", Company)}
	id := JobID("peer", openJob(n))
	ceremony := rapid.SampledFrom([]Digest{BaseCeremony(chain, 1, 1), BaseCeremony(chain, 2, 1), KeySetCeremony(loans, 1), {}}).Draw(t, "ceremony")
	some := edit(openJob(n), func(o *OpenJob) { o.Columns, o.Decay = []uint16{uint16(n)}, n<<31 })
	bodies := []Body{
		some, &join, &Approve{join.Digest()}, &Revoke{name}, &Renew{tls(other), "north.example:1"},
		&OpenRoster{Epoch: uint32(n), Parties: companies, Stages: []uint16{1}},
		&OpenKeySet{Task: loans, Stages: []uint16{1}},
		&Commit{Ceremony: ceremony, Promise: []byte(other)}, &Reveal{Ceremony: ceremony, Inline: []byte("nonce")},
		&KeyAck{Ceremony: ceremony, Keys: d(n)}, &AbortCeremony{Ceremony: ceremony, Culprits: []string{name}},
		openLoans(), &Consent{Task: loans, Rows: uint32(n)}, contribution(loans, name, ContributionKind(n), "north", other),
		openJob(n), &ApproveJob{id}, &PauseJob{id}, &AbortJob{id}, &ReplaceNode{id, name, other}, &ReplaceNode{id, "south", "east"},
		admitQuinn(), &CloseEpoch{n}, &Evidence{First: update(id, 1, 0).Append(nil), Second: update(id, 1, uint16(n)).Append(nil)},
		&Usage{Batch: n, Entries: []Used{{Querier: name, Model: d(n), Answers: n}}},
		&Upgrade{n, w.height + int64(3*n), "v2"}, NewAnnounce(chain, name, "v.example:1", signer("peer of "+other)), &Attend{n == 0},
	}
	if _, ok := JobOf(w.state, id); ok {
		r := w.record(id)
		r.Level = uint8(n & 1)
		m := w.modelRecord(id)
		bodies = append(bodies, r, r, m, &Serve{m.Model(), d(n)}, &Values{Job: id, Shares: w.openings(id), Values: []int64{1, 2, int64(n)}})
	}
	return rapid.SampledFrom(bodies).Draw(t, "body")
}

// sorted is w's state as a map.
func (w *world) sorted() sorted {
	p := sorted{}
	w.state.Range(nil, func(k, v []byte) bool {
		p[string(k)] = v
		return true
	})
	return p
}

// One block has one outcome: over any view, whenever it is applied, and cut into
// blocks of one transaction at the same time. What is refused writes nothing, and
// Check says of the first what the block does.
func TestApplyIsAFunction(t *testing.T) {
	begin := worlds(t)
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SampledFrom(begin).Draw(t, "world")
		v := w.sorted()
		w = &world{state: new(Memory), now: w.now}
		w.state.Write(newWrites(v))
		for range rapid.IntRange(1, 4).Draw(t, "blocks") {
			w.now += rapid.Int64Range(-hour, 2*DefaultPatience).Draw(t, "later")
			b := Block{Time: w.now, Txs: rapid.SliceOfN(anyTx(w), 1, 6).Draw(t, "txs")}
			one, two := Apply(w.state, b), Apply(v, b)
			if !same(one, two) || !same(one, Apply(w.state, b)) {
				t.Fatalf("two outcomes of one block:\n%v\n%v", one, two)
			}
			if len(one.Results) != len(b.Txs) {
				t.Fatalf("%d results of %d transactions", len(one.Results), len(b.Txs))
			}
			cut := new(Memory)
			cut.Write(newWrites(v))
			for i, tx := range b.Txs {
				check, single := Check(cut, b.Time, tx), Apply(cut, Block{Time: b.Time, Txs: [][]byte{tx}})
				if single.Results[0] != one.Results[i] || check != one.Results[i] {
					t.Fatalf("transaction %d: %v in a block, %v alone, %v when checked", i, one.Results[i], single.Results[0], check)
				}
				if single.Results[0].Code != OK && slices.ContainsFunc(single.Writes, func(w Write) bool {
					return w.Value != nil || !bytes.HasPrefix(w.Key, []byte(keySeen))
				}) {
					t.Fatalf("a refused transaction writes %v", single.Writes)
				}
				cut.Write(single.Writes)
			}
			w.state.Write(one.Writes)
			v.write(two.Writes)
			if got, want := all(cut, "", 1<<30), all(v, "", 1<<30); !slices.Equal(got, want) || !slices.Equal(all(w.state, "", 1<<30), want) {
				t.Fatal("states differ")
			}
			readAll(v)
			if problem := unsound(v); problem != "" {
				t.Fatal(problem)
			}
		}
	})
}

// unsound says which law a state breaks, or "".
func unsound(v View) (problem string) {
	g := GenesisOf(v)
	each(v, []byte(keyTicket), func(_ []byte, x *Ticket) bool {
		for _, c1 := range x.C1s {
			if !bytes.Equal(v.Get(key(keyC1, c1)), key("", x.Job, x.Step)) {
				problem = fmt.Sprintf("c1 %x has a second ticket", c1[:6])
			}
		}
		j, _ := JobOf(v, x.Job)
		owners := map[string]bool{}
		for _, m := range Members(v) {
			r, step := StepOf(v, x.Job, x.Step, m.Name)
			last, model := ModelRecordOf(v, x.Job, m.Name)
			if step && r.Digest() == x.Record || model && last.Digest() == x.Record {
				owners[m.Owner] = true
			}
		}
		if len(owners) < int(j.Quorum) || j.Quorum < g.Quorum {
			problem = fmt.Sprintf("a ticket for step %d, which %d owners recorded", x.Step, len(owners))
		}
		return problem == ""
	})
	each(v, []byte(keyEpoch), func(_ []byte, e *KeyEpoch) bool {
		if e.Releases > g.Releases {
			problem = fmt.Sprintf("%d releases of %d", e.Releases, g.Releases)
		}
		return true
	})
	requests := uint32(len(all(v, keyRequest, 1<<30)))
	if n := newState(v, 0).requests(); n != requests || requests > MaxRequests {
		problem = fmt.Sprintf("%d requests, counted as %d", requests, n)
	}
	for _, m := range Members(v) {
		signs, _ := Signer(v, m.Signing)
		dials, _ := Peer(v, m.TLS)
		if alive := !m.Revoked; alive != (signs == m.Name) || alive && dials != m.Name {
			problem = fmt.Sprintf("%s, revoked %v, signs as %q and dials as %q", m.Name, m.Revoked, signs, dials)
		}
	}
	return problem
}

// newWrites are those that make a state, in no order.
func newWrites(p sorted) (out []Write) {
	for k, v := range p {
		out = append(out, Write{[]byte(k), v})
	}
	return out
}

func same(a, b Outcome) bool {
	return slices.Equal(a.Results, b.Results) && slices.EqualFunc(a.Leaves, b.Leaves, bytes.Equal) &&
		slices.EqualFunc(a.Writes, b.Writes, func(a, b Write) bool {
			return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
		})
}

// readAll reads every record: none that was written cannot be.
func readAll(v View) {
	GenesisOf(v)
	Members(v)
	Ceremonies(v)
	Tasks(v)
	Jobs(v)
	Models(v)
	Queriers(v)
	Evidences(v)
	CurrentEpoch(v)
	CurrentReward(v)
}

// The seen-set does not grow: it forgets what has expired, which is refused all
// the same.
func TestSeenSetForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		ahead := rapid.Int64Range(2001, MaxExpiry).Draw(t, "ahead")
		tx := SignTx(chain, w.now+ahead, &OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1}}, signer("ann"))
		expiry := w.now + ahead
		if r := w.apply(tx)[0]; r.Code != OK {
			t.Fatal(r)
		}
		w.now = rapid.Int64Range(w.now, expiry-1001).Draw(t, "before")
		if r := w.apply(tx)[0]; r.Code != Replayed || len(all(w.state, keySeen, 9)) != 1 {
			t.Fatalf("before it expires: code %d, %d seen", r.Code, len(all(w.state, keySeen, 9)))
		}
		w.now = expiry - 1000
		if r := w.apply(tx)[0]; r.Code != Expired || len(all(w.state, keySeen, 9)) != 0 {
			t.Fatalf("when it expires: code %d, %d seen", r.Code, len(all(w.state, keySeen, 9)))
		}
	})
}

// Garbage is a result, never a panic.
func TestGarbage(t *testing.T) {
	w := worlds(t)[4]
	rapid.Check(t, func(t *rapid.T) {
		txs := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 200), 1, 4).Draw(t, "txs")
		for i, tx := range txs { // half of them begin like a transaction
			if i%2 == 0 {
				txs[i] = append(append([]byte{Version, 0, 0, 0, 4}, chain...), tx...)
			}
		}
		for i, r := range Apply(w.state, Block{Time: w.now, Txs: txs}).Results {
			if r.Code == OK || r.Detail == "" {
				t.Fatalf("%x: %v", txs[i], r)
			}
		}
	})
}
