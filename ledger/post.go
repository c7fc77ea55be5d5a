package ledger

import (
	"crypto/ed25519"
	"fmt"
)

// A PostKind says what a post's blob is. The numbers are part of the wire
// protocol: never reuse or renumber one.
type PostKind uint8

const (
	PostPart       PostKind = 1 // a party's part of a ceremony: scope ceremony, step stage, index part
	PostManifest   PostKind = 2 // the list of a contribution's ciphertexts: scope task, step use
	PostCiphertext PostKind = 3 // one of them: scope task, step use, index its place
	PostUpdate     PostKind = 4 // a local company's gradient: scope job, index 0 of training rows, 1 of validation rows
	PostShare      PostKind = 5 // a party's share of a map: scope job, step
	PostOpening    PostKind = 6 // a party's share of a release: scope job, step
	PostOutput     PostKind = 7 // what a map left, by a node: scope job, step, index the output
	PostRemainder  PostKind = 8 // the public remainder of a model, by a node: scope job
	PostQuerierKey PostKind = 9 // a querier's public key: scope the task
)

// A Post is what members tell one another beside the ledger: a signed header of
// a blob. Chain to Index and Sender are its natural key: a second post with the
// same key and another blob is equivocation, and both together are [Evidence].
type Post struct {
	Chain    string
	Epoch    uint32 // key epoch
	Profile  Digest // of the blob's profile, zero of a manifest
	Scope    Digest // ceremony, task or job
	Kind     PostKind
	Step     uint16
	Index    uint16
	Sender   Key
	Blob     Digest
	Size     uint32
	Previous Digest // what it answers: the point of an update, the record of a share; else zero

	signature Signature
}

func (p *Post) code(c *coder) {
	c.name(&p.Chain)
	c.u32(&p.Epoch)
	c.digest(&p.Profile)
	c.digest(&p.Scope)
	c.u8((*uint8)(&p.Kind))
	c.u16(&p.Step)
	c.u16(&p.Index)
	c.digest(&p.Sender)
	c.digest(&p.Blob)
	c.u32(&p.Size)
	c.digest(&p.Previous)
}

// Sign signs p in key's name.
func (p Post) Sign(key ed25519.PrivateKey) Post {
	p.Sender = Key(key.Public().(ed25519.PublicKey))
	copy(p.signature[:], ed25519.Sign(key, signing("post", appendCoded(nil, &p))))
	return p
}

// Append adds the one encoding of a signed post to dst.
func (p Post) Append(dst []byte) []byte { return append(appendCoded(dst, &p), p.signature[:]...) }

// MaxPost bounds the encoding of a post.
const MaxPost = 512

// ParsePost decodes exactly one post whose sender did sign it. Who that is, and
// whether it may, is not for it to say.
func ParsePost(b []byte) (Post, error) {
	if len(b) < len(Signature{}) || len(b) > MaxPost {
		return Post{}, fmt.Errorf("a post of %d bytes; it has %d to %d", len(b), len(Signature{}), MaxPost)
	}
	at := len(b) - len(Signature{})
	var p Post
	if err := parseCoded(b[:at], &p); err != nil {
		return Post{}, fmt.Errorf("post: %w", err)
	}
	copy(p.signature[:], b[at:])
	switch {
	case p.Size == 0 || p.Size > MaxBlob:
		return Post{}, fmt.Errorf("post: a blob of %d bytes; there are 1 to %d", p.Size, MaxBlob)
	case !ed25519.Verify(p.Sender[:], signing("post", b[:at]), p.signature[:]):
		return Post{}, fmt.Errorf("post: the signature of %x does not verify", p.Sender[:6])
	}
	return p, nil
}

// Key is the natural key of p, of a fixed length: what p is about.
func (p Post) Key() []byte {
	return key("", p.Scope, uint8(p.Kind), p.Step, p.Index, p.Sender)
}

// Contradicts says whether p and other are one sender's different words in one
// place.
func (p Post) Contradicts(other Post) bool {
	return p.Chain == other.Chain && string(p.Key()) == string(other.Key()) &&
		(p.Blob != other.Blob || p.Previous != other.Previous || p.Epoch != other.Epoch || p.Profile != other.Profile || p.Size != other.Size)
}

// Evidence records two contradicting posts of one sender. Anybody may bring it.
type Evidence struct{ First, Second []byte }

func (*Evidence) kind() kind { return 26 }
func (e *Evidence) code(c *coder) {
	c.bytes(&e.First, MaxPost)
	c.bytes(&e.Second, MaxPost)
}

func (e *Evidence) apply(s *state, _ sender) Result {
	first, err := ParsePost(e.First)
	if err != nil {
		return refuse(Malformed, "first: %v", err)
	}
	second, err := ParsePost(e.Second)
	if err != nil {
		return refuse(Malformed, "second: %v", err)
	}
	name, known := s.name(key(keySigning, first.Sender))
	switch {
	case !known || first.Chain != s.genesis.Chain:
		return refuse(Unknown, "the posts are of nobody on this chain")
	case !first.Contradicts(second):
		return refuse(Malformed, "the posts of %s do not contradict one another", name)
	}
	at := key(keyEvidence, Hash("evidence", first.Key()))
	if s.has(at) {
		return refuse(Replayed, "%s is convicted of this already", name)
	}
	s.put(at, e)
	return Result{}
}

// Evidences yields the names of members that were convicted of contradicting
// themselves, and how often.
func Evidences(v View) map[string]int {
	out := map[string]int{}
	each(v, []byte(keyEvidence), func(_ []byte, e *Evidence) bool {
		if p, err := ParsePost(e.First); err == nil {
			out[string(v.Get(key(keySigning, p.Sender)))]++
		}
		return true
	})
	return out
}
