package ledger

import (
	"crypto/ed25519"
	"encoding/binary"
	"slices"
)

// A ContributionKind says what rows are for. The numbers are part of the record.
type ContributionKind uint8

const (
	Training   ContributionKind = 1
	Validation ContributionKind = 2
)

// Contribute records a company's rows of a kind: encrypted blocks, or, of a
// local company, a commitment to rows that stay at home.
type Contribute struct {
	Task       Digest
	Use        ContributionKind
	Manifest   Digest // of the blob that lists the ciphertexts; of a local company zero
	Bytes      uint64 // of manifest and ciphertexts
	Rows       uint32
	Blocks     uint32
	Commitment Digest // salted hash of the rows
	Held       []Held // of nodes of Quorum different owners; of a local company none
}

func (*Contribute) kind() kind { return 13 }
func (x *Contribute) code(c *coder) {
	c.digest(&x.Task)
	c.u8((*uint8)(&x.Use))
	c.digest(&x.Manifest)
	c.u64(&x.Bytes)
	c.u32(&x.Rows)
	c.u32(&x.Blocks)
	c.digest(&x.Commitment)
	list(c, &x.Held, MaxNodes, func(h *Held) { h.code(c) })
}

// A Contribution is a recorded [Contribute].
type Contribution struct {
	Contribute
	Company string
	Order   uint64 // 1, 2, … of all contributions: of near-copies the first counts
}

func (x *Contribution) code(c *coder) {
	x.Contribute.code(c)
	c.name(&x.Company)
	c.u64(&x.Order)
}

// HeldMessage is what a node signs to say that it keeps a company's manifest for
// a task, and all that it lists. The company is in it, so that nobody else records
// the rows as its own.
func HeldMessage(task Digest, company string, manifest Digest, bytes uint64) []byte {
	return signing("held", key("", task, manifest, bytes, company))
}

// SignHeld is a node's word that it does.
func SignHeld(node string, task Digest, company string, manifest Digest, bytes uint64, key ed25519.PrivateKey) Held {
	h := Held{Node: node}
	copy(h.Signature[:], ed25519.Sign(key, HeldMessage(task, company, manifest, bytes)))
	return h
}

func (x *Contribute) apply(s *state, from sender) Result {
	t, ok := TaskOf(s, x.Task)
	if !ok {
		return refuse(Unknown, "no task %x", x.Task[:6])
	}
	mine, ok := t.ConsentOf(from.name)
	record := &Contribution{Contribute: *x, Company: from.name}
	want := mine.Rows
	if x.Use == Validation {
		want = mine.Validation
	}
	at := key(keyContrib, t.ID, uint8(x.Use), from.name)
	had, has := load[Contribution](s, at)
	switch {
	case !ok:
		return refuse(Forbidden, "%s has not consented to task %s", from.name, t.Name)
	case t.State != TaskReady:
		return refuse(WrongState, "task %s has no keys yet", t.Name)
	case x.Use != Training && x.Use != Validation:
		return refuse(Malformed, "a contribution for use %d", x.Use)
	case has && had.Manifest == x.Manifest && had.Commitment == x.Commitment:
		return refuse(Replayed, "contributed already")
	case has:
		return refuse(Conflict, "%s has contributed %x; one contribution a task and use", from.name, had.Manifest[:6])
	case x.Rows != want || x.Rows == 0:
		return refuse(Conflict, "%d rows; %s consented with %d", x.Rows, from.name, want)
	case mine.Local != (x.Manifest == Digest{}) || mine.Local != (x.Blocks == 0) || mine.Local != (len(x.Held) == 0) || mine.Local != (x.Bytes == 0):
		return refuse(Malformed, "a local company contributes a commitment alone, any other blocks that nodes hold")
	}
	if !mine.Local {
		if b := s.Get(key(keyManifest, x.Manifest)); b != nil {
			return refuse(Conflict, "manifest %x is contributed already", x.Manifest[:6])
		}
		if r := s.checkHeld(t, from.name, x); r.Code != OK {
			return r
		}
		s.putRaw(key(keyManifest, x.Manifest), t.ID[:])
	}
	if r := s.escrow(from.name, x.Use); r.Code != OK {
		return r
	}
	record.Order = 1 + s.contributions()
	s.putRaw([]byte(keyContribs), key("", record.Order))
	s.put(at, record)
	return Result{}
}

// contributions is how many there are.
func (s *state) contributions() uint64 {
	if b := s.Get([]byte(keyContribs)); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// escrow locks what answers for rows that harm, once a task: with its training rows.
func (s *state) escrow(company string, use ContributionKind) Result {
	amount := s.money().Escrow
	if use != Training || amount == 0 {
		return Result{}
	}
	if r := s.spend(company, amount); r.Code != OK {
		return r
	}
	a := s.account(company)
	a.Escrow += amount
	s.keep(company, a)
	return Result{}
}

// checkHeld holds a contribution to the words of nodes of enough owners.
func (s *state) checkHeld(t *Task, company string, x *Contribute) Result {
	said := HeldMessage(t.ID, company, x.Manifest, x.Bytes)
	if !s.on(boundHeld) {
		said = HeldMessage(Digest{}, "", x.Manifest, x.Bytes)
	}
	owners := map[string]bool{}
	for _, h := range x.Held {
		m, ok := MemberOf(s, h.Node)
		switch {
		case !ok || m.Revoked || !slices.Contains(t.Nodes, h.Node):
			return refuse(Forbidden, "%s is no node of task %s, or was revoked", h.Node, t.Name)
		case !ed25519.Verify(m.Signing[:], said, h.Signature[:]):
			return refuse(BadSignature, "%s did not say that it holds %x of %s", h.Node, x.Manifest[:6], company)
		}
		owners[m.Owner] = true
	}
	if len(owners) < int(t.Quorum) {
		return refuse(OverLimit, "nodes of %d owners hold the contribution; task %s takes %d", len(owners), t.Name, t.Quorum)
	}
	return Result{}
}

// ContributionOf is what a company contributed to a task for a use.
func ContributionOf(v View, task Digest, use ContributionKind, company string) (*Contribution, bool) {
	return load[Contribution](v, key(keyContrib, task, uint8(use), company))
}

// HasManifest says whether a manifest is recorded, and for which task.
func HasManifest(v View, manifest Digest) (task Digest, ok bool) {
	b := v.Get(key(keyManifest, manifest))
	copy(task[:], b)
	return task, b != nil
}
