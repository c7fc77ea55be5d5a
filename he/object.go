package he

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// Version is the first byte of every encoding.
const Version = 1

// A Kind says what an [Object] is. The numbers are part of the wire protocol:
// never reuse or renumber one.
type Kind uint8

const (
	KindCiphertext  Kind = 1  // c0, c1
	KindPublicKey   Kind = 2  // b; a is the expansion of Seed
	KindSecretKey   Kind = 3  // s over QP, for the sealed store
	KindPublicShare Kind = 4  // one party's b
	KindRelinShare1 Kind = 5  // per digit h0, h1 over QP
	KindRelinShare2 Kind = 6  // per digit h0, h1 over QP
	KindGaloisShare Kind = 7  // per digit h over QP; Element is the automorphism
	KindRelinKey    Kind = 8  // per digit b, a over QP
	KindGaloisKey   Kind = 9  // per digit b, a over QP; Element is the automorphism
	KindMapInput    Kind = 10 // Width kept coefficients of one input's share
	KindMapOutput   Kind = 11 // one output's share
	KindSwitchShare Kind = 12 // h0, h1
	KindOpenShare   Kind = 13 // h
	KindModelShare  Kind = 14 // Width coefficients of a shared model
	KindQuery       Kind = 15 // c0, c1 under the querier's key; Width columns a query
	KindAnswer      Kind = 16 // c0, c1; Width columns a query
)

// shape is how many polynomials a kind has, over Q and then over QP, and
// which header fields it may set.
type shape struct {
	name             string
	q, qp            int  // polynomials; for qp a negative count is per gadget digit
	topLevel         bool // always at the profile's top level
	scale, width     bool // header fields in use
	element, seeded  bool
	shortPolynomials bool // Width coefficients instead of N
}

var shapes = map[Kind]shape{
	KindCiphertext:  {name: "ciphertext", q: 2, scale: true},
	KindPublicKey:   {name: "public key", q: 1, topLevel: true, seeded: true},
	KindSecretKey:   {name: "secret key", qp: 1, topLevel: true},
	KindPublicShare: {name: "public-key share", q: 1, topLevel: true},
	KindRelinShare1: {name: "relinearisation share, round 1", qp: -2, topLevel: true},
	KindRelinShare2: {name: "relinearisation share, round 2", qp: -2, topLevel: true},
	KindGaloisShare: {name: "Galois share", qp: -1, topLevel: true, element: true},
	KindRelinKey:    {name: "relinearisation key", qp: -2, topLevel: true},
	KindGaloisKey:   {name: "Galois key", qp: -2, topLevel: true, element: true},
	KindMapInput:    {name: "map input share", q: 1, width: true, shortPolynomials: true},
	KindMapOutput:   {name: "map output share", q: 1, topLevel: true},
	KindSwitchShare: {name: "switch share", q: 2},
	KindOpenShare:   {name: "opening share", q: 1},
	KindModelShare:  {name: "model share", q: 1, topLevel: true, width: true, shortPolynomials: true},
	KindQuery:       {name: "query", q: 2, topLevel: true, width: true},
	KindAnswer:      {name: "answer", q: 2, topLevel: true, width: true},
}

// String names the kind for people.
func (k Kind) String() string {
	if s, ok := shapes[k]; ok {
		return s.name
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// An Object is any sequence of ring elements that crosses a wire or a disk:
// a small header and residues, prime by prime. Inside the process an Object
// cannot be wrong: it comes from [ParseObject] or from [NewObject].
type Object struct {
	Kind     Kind
	Profile  *Profile
	Level    int
	LogScale int      // of a ciphertext
	Width    int      // coefficients kept, or columns a query
	Element  uint64   // Galois element
	Seed     [32]byte // expands to the uniform half of a public key
	Rows     [][]uint64
}

// Format prints the header in words, whatever the verb: the residues may be a
// secret key's.
func (o Object) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.summary()) }

// MarshalText is Format's text, for logs.
func (o Object) MarshalText() ([]byte, error) { return []byte(o.summary()), nil }

func (o Object) summary() string {
	return fmt.Sprintf("%s at level %d of profile %s", o.Kind, o.Level, o.Profile.Name())
}

// headerBytes is the fixed header: version, kind, level, logScale, width,
// element, profile digest, seed.
const headerBytes = 1 + 1 + 1 + 2 + 4 + 8 + 32 + 32

// MaxLogScale bounds the scale a ciphertext may carry.
const MaxLogScale = 1 << 10

// NewObject returns a zero object of the header's shape, its rows allocated.
// The header is our own: a wrong one is a broken invariant.
func NewObject(o Object) *Object {
	if err := o.check(); err != nil {
		panic("he: " + err.Error()) // our own header: a bug, never input
	}
	moduli, length := o.layout()
	flat := make([]uint64, len(moduli)*length)
	o.Rows = make([][]uint64, len(moduli))
	for i := range o.Rows {
		o.Rows[i], flat = flat[:length:length], flat[length:]
	}
	return &o
}

// polys is how many polynomials o has over Q and over QP, and their length.
func (o *Object) polys() (q, qp, length int) {
	s := shapes[o.Kind]
	q, qp, length = s.q, s.qp, o.Profile.N()
	if qp < 0 {
		qp = -qp * o.Profile.Digits()
	}
	if s.shortPolynomials {
		length = o.Width
	}
	return q, qp, length
}

// layout lists the modulus of every row and the length of all of them.
func (o *Object) layout() (moduli []uint64, length int) {
	q, qp, length := o.polys()
	primes := o.Profile.params.Q()[:o.Level+1]
	for range q {
		moduli = append(moduli, primes...)
	}
	for range qp {
		moduli = append(moduli, primes...)
		moduli = append(moduli, o.Profile.params.P()...)
	}
	return moduli, length
}

// check refuses a header that its kind and profile do not allow.
func (o *Object) check() error {
	s, ok := shapes[o.Kind]
	switch {
	case !ok:
		return fmt.Errorf("unknown kind %d; is the sender newer?", uint8(o.Kind))
	case o.Level < 0 || o.Level > o.Profile.MaxLevel():
		return fmt.Errorf("%s at level %d; profile %s has levels 0 to %d", s.name, o.Level, o.Profile.Name(), o.Profile.MaxLevel())
	case s.topLevel && o.Level != o.Profile.MaxLevel():
		return fmt.Errorf("%s at level %d, not at the top level %d", s.name, o.Level, o.Profile.MaxLevel())
	case s.qp != 0 && o.Profile.Special() == 0:
		return fmt.Errorf("%s: profile %s has no evaluation keys", s.name, o.Profile.Name())
	case !s.scale && o.LogScale != 0, o.LogScale < 0, o.LogScale > MaxLogScale:
		return fmt.Errorf("%s with scale 2^%d", s.name, o.LogScale)
	case !s.width && o.Width != 0:
		return fmt.Errorf("%s with width %d", s.name, o.Width)
	case s.width && !validWidth(o.Width):
		return fmt.Errorf("%s with width %d; widths are powers of two up to %d", s.name, o.Width, MaxWidth)
	case !s.element && o.Element != 0:
		return fmt.Errorf("%s with a Galois element", s.name)
	case s.element && !o.Profile.isRotation(o.Element):
		return fmt.Errorf("%s with Galois element %d, which is not a power of 5 modulo %d", s.name, o.Element, o.Profile.RingQ(0).NthRoot())
	case !s.seeded && o.Seed != [32]byte{}:
		return fmt.Errorf("%s with a seed", s.name)
	}
	return nil
}

func validWidth(w int) bool { return w >= 1 && w <= MaxWidth && w&(w-1) == 0 }

// Size is the exact number of bytes Append adds.
func (o *Object) Size() int {
	q, qp, length := o.polys()
	rows := (q+qp)*(o.Level+1) + qp*o.Profile.Special()
	return headerBytes + 8*rows*length
}

// Append adds the one encoding of o to dst.
func (o *Object) Append(dst []byte) []byte {
	need := o.Size()
	if free := cap(dst) - len(dst); free < need {
		dst = append(make([]byte, 0, len(dst)+need), dst...)
	}
	dst = o.appendHeader(dst)
	for _, row := range o.Rows {
		at := len(dst)
		dst = dst[:at+8*len(row)]
		out := dst[at:]
		for i, v := range row {
			binary.LittleEndian.PutUint64(out[8*i:8*i+8], v)
		}
	}
	return dst
}

func (o *Object) appendHeader(dst []byte) []byte {
	dst = append(dst, Version, byte(o.Kind), byte(o.Level))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(o.LogScale))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(o.Width))
	dst = binary.LittleEndian.AppendUint64(dst, o.Element)
	digest := o.Profile.Digest()
	dst = append(dst, digest[:]...)
	return append(dst, o.Seed[:]...)
}

// A DecodeError says why bytes are not an object of the wanted kind. Nothing
// was allocated for them unless their length was right, and then no more than
// that length.
type DecodeError struct {
	Want   Kind
	Detail string
}

// Error names the object and the cause.
func (e *DecodeError) Error() string { return fmt.Sprintf("decode %s: %s", e.Want, e.Detail) }

// ParseObject decodes exactly one object of the wanted kind and profile (law
// L1): the length is computed from the header and compared before anything is
// allocated, every residue must be below its prime, and no byte may be left
// over. The error is a [*DecodeError].
func ParseObject(b []byte, want Kind, p *Profile) (*Object, error) {
	head, err := parseHeader(b, want, p)
	if err != nil {
		return nil, err
	}
	if need := head.Size(); len(b) != need {
		return nil, &DecodeError{Want: want, Detail: fmt.Sprintf("%d bytes; its header says %d", len(b), need)}
	}
	moduli, _ := head.layout()
	out := NewObject(head)
	body := b[headerBytes:]
	for i, row := range out.Rows {
		if at := readRow(row, body, moduli[i]); at >= 0 {
			return nil, &DecodeError{Want: want, Detail: fmt.Sprintf("residue %d of row %d is not below its prime %d", at, i, moduli[i])}
		}
		body = body[8*len(row):]
	}
	return out, nil
}

// parseHeader decodes the header at the front of b and checks all of it.
func parseHeader(b []byte, want Kind, p *Profile) (Object, error) {
	fail := func(format string, args ...any) (Object, error) {
		return Object{}, &DecodeError{Want: want, Detail: fmt.Sprintf(format, args...)}
	}
	if len(b) < headerBytes {
		return fail("%d bytes are fewer than the header's %d", len(b), headerBytes)
	}
	if b[0] != Version {
		return fail("version %d; this build reads version %d", b[0], Version)
	}
	if Kind(b[1]) != want {
		return fail("it is a %s", Kind(b[1]))
	}
	digest := p.Digest()
	if got := b[17 : 17+32]; string(got) != string(digest[:]) {
		return fail("profile digest %x; this federation's %s profile is %x", got, p.Name(), digest)
	}
	o := Object{
		Kind: want, Profile: p, Level: int(b[2]),
		LogScale: int(binary.LittleEndian.Uint16(b[3:])),
		Element:  binary.LittleEndian.Uint64(b[9:]),
		Seed:     [32]byte(b[49:]),
	}
	width := binary.LittleEndian.Uint32(b[5:])
	if width > MaxWidth {
		return fail("width %d is above %d", width, MaxWidth)
	}
	o.Width = int(width)
	if err := o.check(); err != nil {
		return fail("%s", err)
	}
	return o, nil
}

// readRow copies len(row) words and returns the index of the first that is not
// below q, or -1. The loop has no branch on data: it is what bounds the speed.
func readRow(row []uint64, b []byte, q uint64) int {
	b = b[:8*len(row)]
	var bad uint64
	for i := range row {
		v := binary.LittleEndian.Uint64(b[8*i : 8*i+8])
		row[i] = v
		bad |= (q - 1 - v) | v // the top bit is set iff v >= q, as q < 2^63
	}
	if bad>>63 == 0 {
		return -1
	}
	for i, v := range row {
		if v >= q {
			return i
		}
	}
	return -1
}

// Digest is SHA-256 of the encoding, computed without building it.
func (o *Object) Digest() Digest {
	head := *o
	head.Rows = nil
	h := sha256.New()
	buf := make([]byte, 0, 8*1024+headerBytes)
	buf = head.appendHeader(buf)
	for _, row := range o.Rows {
		for i, v := range row {
			buf = binary.LittleEndian.AppendUint64(buf, v)
			if len(buf) >= 8*1024 || i == len(row)-1 {
				h.Write(buf)
				buf = buf[:0]
			}
		}
	}
	return Digest(h.Sum(nil))
}
