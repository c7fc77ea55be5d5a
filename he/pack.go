package he

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring"
)

// Rows are n rows of d values, row by row. Column 0 is the constant 1 times
// the row's sign, for classification: z = y·x with y in {-1, +1}.
type Rows struct {
	Columns int
	Values  []float64
}

// Len is the number of rows.
func (x Rows) Len() int { return len(x.Values) / x.Columns }

// Row is row i, shared.
func (x Rows) Row(i int) []float64 { return x.Values[i*x.Columns : (i+1)*x.Columns] }

// Slice is rows i to j, shared.
func (x Rows) Slice(i, j int) Rows {
	return Rows{Columns: x.Columns, Values: x.Values[i*x.Columns : j*x.Columns]}
}

// A RangeError names the first value that may not be encrypted (law L12):
// beyond the bound it would decode outside its mask.
type RangeError struct {
	Row, Column int
	Value       float64
}

// Error says what is allowed.
func (e *RangeError) Error() string {
	return fmt.Sprintf("row %d, column %d: %v is not a finite value in [-1, 1]; scale the column first", e.Row, e.Column, e.Value)
}

// Only are the rows of x with zeros in every column but those that in has; nil has
// all.
func (x Rows) Only(in []bool) Rows {
	if in == nil {
		return x
	}
	out := Rows{Columns: x.Columns, Values: slices.Clone(x.Values)}
	for i := range out.Values {
		if !in[i%x.Columns] {
			out.Values[i] = 0
		}
	}
	return out
}

// Distinct are the rows of x without repeats, and for each row of x which of
// them it is.
func (x Rows) Distinct() (rows Rows, which []int) {
	rows = Rows{Columns: x.Columns}
	seen := map[string]int{}
	var key []byte
	for i := range x.Len() {
		key = key[:0]
		for _, v := range x.Row(i) {
			key = binary.BigEndian.AppendUint64(key, math.Float64bits(v))
		}
		at, ok := seen[string(key)]
		if !ok {
			at = rows.Len()
			seen[string(key)] = at
			rows.Values = append(rows.Values, x.Row(i)...)
		}
		which = append(which, at)
	}
	return rows, which
}

// Check refuses what is not finite and in [-1, 1], with a [*RangeError].
func (x Rows) Check() error {
	for i, v := range x.Values {
		if !(math.Abs(v) <= 1) { // NaN fails too
			return &RangeError{Row: i / x.Columns, Column: i % x.Columns, Value: v}
		}
	}
	return nil
}

// A Packing lays rows of up to Width columns out in vectors of S slots:
// generalised diagonals (PROTOCOL §3), vector r holding z[i][(i+r) mod Width] in
// slot i.
//
// For baby and giant steps vector g·Baby+b is stored rotated right by g·Baby.
// Baby = Width is the plain diagonal form. Back stores it for the way back
// alone, rotated left by Width−g·Baby: sums over slots equal mod Width are the
// same, and the giants' own keys do.
//
// Few rows leave most slots empty, so they are stacked: Stack segments of Baby =
// Width/Stack diagonals share a vector, segment g of vector b holding
// z[i][(i+g·Baby+b) mod Width] in slot g·Stride+i. The stride is Baby modulo
// Width, so that a vector of period Width, rotated by b, meets every segment in
// step; half the slots stay empty, so that rotations by strides add segments up
// without wrapping around.
type Packing struct {
	Width int // D, a power of two
	Baby  int // B, a power of two that divides Width
	Stack int // G; 0 and 1 are unstacked, else Baby·Stack = Width
	Back  bool
}

// WidthFor is the smallest packed width for d columns.
func WidthFor(d int) int { return 1 << bits.Len(uint(d-1)) }

// Stacked is whether the packing has segments.
func (k Packing) Stacked() bool { return k.Stack > 1 }

// Vectors is how many vectors a block has.
func (k Packing) Vectors() int {
	if k.Stacked() {
		return k.Baby
	}
	return k.Width
}

// Stride is the distance between segments of a stacked packing in vectors of
// slots, 0 if not even one row fits.
func (k Packing) Stride(slots int) int {
	limit := slots / (2 * k.Stack)
	if limit < k.Baby {
		return 0
	}
	return k.Baby + (limit-k.Baby)/k.Width*k.Width
}

// Capacity is how many rows a block of vectors of slots holds.
func (k Packing) Capacity(slots int) int {
	if k.Stacked() {
		return k.Stride(slots)
	}
	return slots
}

// Vector fills out, one value a slot, with vector r of the block. Missing rows
// and columns are zero.
func (k Packing) Vector(r int, x Rows, out []float64) {
	if k.Stacked() {
		k.stackedVector(r, x, out)
		return
	}
	n, mask, slots := x.Len(), k.Width-1, len(out)
	shift := r / k.Baby * k.Baby
	if k.Back && shift > 0 {
		shift -= k.Width
	}
	for i := range out {
		row := (i - shift + slots) % slots
		out[i] = 0
		if col := (row + r) & mask; row < n && col < x.Columns {
			out[i] = x.Values[row*x.Columns+col]
		}
	}
}

func (k Packing) stackedVector(b int, x Rows, out []float64) {
	clear(out)
	stride := k.Stride(len(out))
	for g := range k.Stack {
		segment := out[g*stride : (g+1)*stride]
		for i := range x.Len() {
			if col := (i + g*k.Baby + b) & (k.Width - 1); col < x.Columns {
				segment[i] = x.Values[i*x.Columns+col]
			}
		}
	}
}

// Encode embeds one value a slot at scale 2^logScale, in the NTT domain. All
// values must be finite.
func (e *Encoder) Encode(v []float64, level, logScale int) (ring.Poly, error) {
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return ring.Poly{}, &RangeError{Column: i, Value: x}
		}
	}
	pt := hefloat.NewPlaintext(e.profile.params, level)
	pt.Scale = PowerScale(logScale)
	if err := e.encoder.Encode(v, pt); err != nil {
		return ring.Poly{}, fmt.Errorf("encode %d values: %w", len(v), err)
	}
	return pt.Value, nil
}

// Decode reads the slots of a plaintext polynomial in the NTT domain.
func (e *Encoder) Decode(m ring.Poly, logScale int) ([]float64, error) {
	pt := hefloat.NewPlaintext(e.profile.params, m.Level())
	pt.Value.Copy(m)
	pt.Scale = PowerScale(logScale)
	out := make([]float64, e.profile.Slots())
	if err := e.encoder.Decode(pt, out); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return out, nil
}

// An Encoder embeds slots into polynomials. It is used by one goroutine.
type Encoder struct {
	profile *Profile
	encoder *hefloat.Encoder
}

// NewEncoder returns an encoder of a conjugate-invariant profile.
func NewEncoder(p *Profile) *Encoder {
	return &Encoder{profile: p, encoder: hefloat.NewEncoder(p.params)}
}

// Fork returns an encoder for another goroutine.
func (e *Encoder) Fork() *Encoder {
	return &Encoder{profile: e.profile, encoder: e.encoder.ShallowCopy()}
}

// EncodeBlock packs up to Capacity rows and encodes them: one plaintext a
// vector, at the profile's scale and top level.
//
// It returns a [*RangeError] for the first value that is not finite and in
// [-1, 1].
func EncodeBlock(e *Encoder, k Packing, x Rows) ([]ring.Poly, error) {
	if err := checkBlock(e.profile, k, x); err != nil {
		return nil, err
	}
	out := make([]ring.Poly, k.Vectors())
	err := e.each(k, x, func(r int, m ring.Poly) { out[r] = m })
	return out, err
}

// EncryptBlock packs up to Capacity rows and encrypts them: one ciphertext a
// vector, at the profile's scale and top level, each from a stream of its own
// so that the result does not depend on scheduling. The streams are bound to
// the key and to the message (law L3): one seed for two blocks does not encrypt
// both under one randomness, whose difference would be in the clear.
//
// A slot decrypts to within [EncryptError] of its value.
//
// It returns a [*RangeError] for the first value that is not finite and in
// [-1, 1].
//
// Scheme: Cheon, Kim, Kim, Song, ASIACRYPT 2017 (IACR ePrint 2016/421), in the
// conjugate-invariant ring of Kim and Song, IACR ePrint 2018/952.
func EncryptBlock(e *Encoder, pk *PublicKey, k Packing, x Rows, seed Seed) ([]*Ciphertext, error) {
	if err := checkBlock(e.profile, k, x); err != nil {
		return nil, err
	}
	out := make([]*Ciphertext, k.Vectors())
	key := pk.Digest()
	err := e.each(k, x, func(r int, m ring.Poly) {
		message := (&Object{Kind: KindOpenShare, Profile: e.profile, Level: m.Level(), Rows: m.Coeffs}).Digest()
		s := seed.Stream("encrypt/vector", key[:], message[:], binary.BigEndian.AppendUint32(nil, uint32(r)))
		out[r] = pk.Encrypt(m, e.profile.LogScale(), s)
	})
	return out, err
}

// EncryptError bounds the error of a slot of a fresh ciphertext of a
// conjugate-invariant profile under a key of n parties, but for one ciphertext
// in 2^29 at N = 2^14.
//
// The error polynomial is e0 + e1·s + u·e plus the rounding of the encoder,
// u ternary, s and e the sums of the parties' secrets and errors. A slot of a
// polynomial c is c_0 + 2·Σ c_j·cos(jθ), and the squares of those weights sum
// to 2N-1 at every slot; so a slot of an error has deviation at most σ√(2N),
// one of a ternary polynomial √(2N·2/3), both with sub-Gaussian tails. Slots
// multiply. With the key's two slots within T deviations, the slot of the whole
// is, given the key, sub-Gaussian of variance 2Nσ²(1 + 2·n·T²·2N·2/3), and is
// taken within T deviations again; T = 8 leaves 2·e^-32 for each of three
// events a slot. Rounding adds at most 1/2 on every coefficient, N in a slot.
func EncryptError(p *Profile, parties int) float64 {
	const t = 8
	n := float64(p.N())
	noise := t * Sigma * math.Sqrt(2*n*(1+2*float64(parties)*t*t*2*n*2/3))
	return (noise + n) / math.Exp2(float64(p.LogScale()))
}

func checkBlock(p *Profile, k Packing, x Rows) error {
	switch {
	case !k.valid():
		return fmt.Errorf("packing of width %d in steps of %d, stacked %d times; widths are powers of two up to %d, steps divide them, and stacked steps fill them", k.Width, k.Baby, k.Stack, MaxWidth)
	case x.Columns < 1 || x.Columns > k.Width:
		return fmt.Errorf("%d columns do not fit a packing of width %d", x.Columns, k.Width)
	case len(x.Values)%x.Columns != 0 || x.Len() > k.Capacity(p.Slots()):
		return fmt.Errorf("%d values are not up to %d rows of %d columns", len(x.Values), k.Capacity(p.Slots()), x.Columns)
	}
	return x.Check()
}

func (k Packing) valid() bool {
	return validWidth(k.Width) && k.Baby >= 1 && k.Width%k.Baby == 0 && k.Stack >= 0 && (!k.Stacked() || k.Baby*k.Stack == k.Width)
}

// each encodes every vector of the block and hands it to use, on all cores.
func (e *Encoder) each(k Packing, x Rows, use func(r int, m ring.Poly)) error {
	vectors := k.Vectors()
	workers := min(runtime.GOMAXPROCS(0), vectors)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		enc := e.Fork()
		wg.Add(1)
		go func() {
			defer wg.Done()
			v := make([]float64, e.profile.Slots())
			for r := w; r < vectors && errs[w] == nil; r += workers {
				k.Vector(r, x, v)
				var m ring.Poly
				if m, errs[w] = enc.Encode(v, e.profile.MaxLevel(), e.profile.LogScale()); errs[w] == nil {
					use(r, m)
				}
			}
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
