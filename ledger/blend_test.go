package ledger

import "testing"

// blendedWorld is a world whose task has a blend of two models.
func blendedWorld(t *testing.T) (*world, []Digest, *Blend) {
	w, models := ranked(t)
	w.must("ann", admitQuinn())
	r := ranking(models, 3, 1)
	w.settled(map[string]*RevealRanking{"ann": r, "bob": r, "cal": r})
	b, ok := BlendOf(w.state, loans)
	if !ok || len(b.Parts) != 2 {
		t.Fatalf("blend %+v", b)
	}
	return w, models, b
}

// A query names a model or the blend in force. A blend that was replaced is known,
// and does not answer.
func TestAskedOf(t *testing.T) {
	w, models, b := blendedWorld(t)
	if a, r := AskedOf(w.state, b.Digest()); r.Code != OK || !a.Blend || a.Task != loans || len(a.Parts) != 2 || a.Keys != 1 {
		t.Errorf("%+v, %+v", a, r)
	}
	if a, r := AskedOf(w.state, models[0]); r.Code != OK || a.Blend || len(a.Parts) != 1 || a.Parts[0] != (Weight{models[0], 1}) {
		t.Errorf("%+v, %+v", a, r)
	}
	if _, r := AskedOf(w.state, d("nothing")); r.Code != Unknown {
		t.Errorf("%+v", r)
	}
	s := newState(w.state, w.now)
	next := &Blend{Task: loans, Epoch: b.Epoch + 1, Parts: b.Parts}
	if next.Digest() != b.Digest() {
		t.Error("a blend of the same parts is another")
	}
	next.Parts = []Weight{{models[1], BlendParts}}
	s.put(key(keyBlend, loans), next)
	s.put(key(keyBlended, next.Digest()), next)
	if _, r := AskedOf(s, b.Digest()); r.Code != WrongState {
		t.Errorf("a blend that was replaced: %+v", r)
	}
	if _, r := AskedOf(s, next.Digest()); r.Code != OK {
		t.Errorf("%+v", r)
	}
	m, _ := ModelOf(s, models[1])
	m.Refuted = true
	s.put(key(keyModel, m.ID), m)
	if _, r := AskedOf(s, next.Digest()); r.Code != WrongState {
		t.Errorf("a blend with a model that was proved wrong: %+v", r)
	}
}

// A row that a blend answered is one answer: it uses the quota and costs its price
// once, also when the blend was replaced before the node said so.
func TestUsageOfBlends(t *testing.T) {
	w, _, b := blendedWorld(t)
	pot := PotOf(w.state, loans)
	used := Used{Querier: "quinn", Model: b.Digest(), Answers: 3, Queries: d("queries")}
	w.must("north", &Usage{Batch: 1, Entries: []Used{used}})
	q, _ := QuerierOf(w.state, "quinn")
	if had, ok := UsedOf(w.state, "quinn", b.Digest()); !ok || had.Answers != 3 || q.Used != 3 {
		t.Errorf("%+v, %+v", had, q)
	}
	if got := PotOf(w.state, loans) - pot; got != 3*MoneyOf(w.state).Price {
		t.Errorf("3 answers cost %d", got)
	}
	w.refused(Unknown, "north", &Usage{Batch: 2, Entries: []Used{{Querier: "quinn", Model: d("no blend"), Answers: 1}}})
	s := newState(w.state, w.now)
	s.put(key(keyBlend, loans), &Blend{Task: loans, Epoch: b.Epoch + 1, Parts: b.Parts[:1]})
	if r := s.answers("north", q, b.Digest()); r.Code != OK {
		t.Errorf("a blend that was replaced: %+v", r)
	}
	if r := s.answers("elsewhere", q, b.Digest()); r.Code != Forbidden {
		t.Errorf("a node of another task: %+v", r)
	}
	q.Task = d("another")
	if r := s.answers("north", q, b.Digest()); r.Code != Forbidden {
		t.Errorf("a querier of another task: %+v", r)
	}
}
