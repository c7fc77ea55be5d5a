package circuit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/commonseal/commonseal/he"
)

// An OpKind says what a recorded operation computed. The numbers are part of
// the record: never reuse or renumber one.
type OpKind uint8

const (
	OpGradient OpKind = 1 // weights, then vectors block by block → a gradient for each group
	OpSum      OpKind = 2 // ciphertexts → their sum
	OpValue    OpKind = 3 // updates, directions → values
	OpTotal    OpKind = 4 // values of several steps → their sum
	OpGram     OpKind = 5 // rows and columns of every valued step, in turn → their products' sum
	OpCross    OpKind = 6 // x, y, z → x² − y·z
	OpSharpen  OpKind = 7 // x → the sign polynomial of round Interval
	OpBoth     OpKind = 8 // halves of two signs → their bits
	OpDirect   OpKind = 9 // g and −u/2 of those that count → the directions
)

// An Op is one recorded operation: what went in and what came out, by digest
// (law L11). The plan and the keys are those of the job.
type Op struct {
	Kind     OpKind
	Interval int   // of a gradient
	Groups   []int // of a gradient: blocks in each group
	Inputs   []he.Digest
	Outputs  []he.Digest
}

// Digest is SHA-256 of the encoding.
func (o Op) Digest() he.Digest { return sha256.Sum256(o.Append(nil)) }

// Append adds the one encoding of o to dst.
func (o Op) Append(dst []byte) []byte {
	b := append(dst, he.Version, byte(o.Kind))
	number := func(n int) { b = binary.BigEndian.AppendUint32(b, uint32(n)) }
	number(o.Interval)
	number(len(o.Groups))
	for _, g := range o.Groups {
		number(g)
	}
	for _, digests := range [][]he.Digest{o.Inputs, o.Outputs} {
		number(len(digests))
		for _, d := range digests {
			b = append(b, d[:]...)
		}
	}
	return b
}

// ParseOp decodes exactly one record of an operation.
func ParseOp(b []byte) (Op, error) {
	var o Op
	ok := len(b) >= 2 && b[0] == he.Version
	number := func() int {
		if ok = ok && len(b) >= 4; !ok {
			return 0
		}
		n := binary.BigEndian.Uint32(b)
		b = b[4:]
		ok = n <= math.MaxInt32
		return int(n)
	}
	if ok {
		o.Kind, b = OpKind(b[1]), b[2:]
	}
	o.Interval = number()
	for n := number(); ok && len(o.Groups) < n; {
		o.Groups = append(o.Groups, number())
	}
	for _, digests := range []*[]he.Digest{&o.Inputs, &o.Outputs} {
		n := number()
		if ok = ok && n <= len(b)/len(he.Digest{}); !ok {
			break
		}
		for range n {
			*digests, b = append(*digests, he.Digest(b)), b[len(he.Digest{}):]
		}
	}
	if !ok || len(b) > 0 {
		return Op{}, errors.New("not the record of an operation; is it of another version?")
	}
	return o, nil
}

// A ReplayError says that an operation, done again, gives another output than
// was recorded.
type ReplayError struct {
	Output         int
	Recorded, Seen he.Digest
}

// Error names both digests.
func (e *ReplayError) Error() string {
	return fmt.Sprintf("replay: output %d is %x, but %x was recorded; keep both as evidence", e.Output, e.Seen[:6], e.Recorded[:6])
}

// A Replayer does recorded operations of one job again.
type Replayer struct {
	Steps  *Evaluator
	Values *Valuer
	Copies *Comparer // nil if no copies are looked for
	// Blob is the encoding of a ciphertext by its digest.
	Blob func(he.Digest) ([]byte, error)

	made map[he.Digest]*he.Ciphertext // outputs of the operations of one ReplayAll
}

// ReplayAll does operations again in their order. What one of them gives the
// later ones find without Blob.
func (r *Replayer) ReplayAll(ops []Op) error {
	r.made = map[he.Digest]*he.Ciphertext{}
	defer func() { r.made = nil }()
	for i, op := range ops {
		if err := r.Replay(op); err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return nil
}

// Replay does op again and compares what comes out. The error is a
// [*ReplayError] if it differs, and another if op or a blob is not usable.
func (r *Replayer) Replay(op Op) error {
	outputs, err := r.compute(op)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if len(outputs) != len(op.Outputs) {
		return fmt.Errorf("replay: %d outputs are recorded and %d come out", len(op.Outputs), len(outputs))
	}
	for i, c := range outputs {
		if d := c.Digest(); d != op.Outputs[i] {
			return &ReplayError{Output: i, Recorded: op.Outputs[i], Seen: d}
		}
		if r.made != nil {
			r.made[op.Outputs[i]] = c
		}
	}
	return nil
}

func (r *Replayer) compute(op Op) ([]*he.Ciphertext, error) {
	switch op.Kind {
	case OpGradient:
		return r.gradient(op)
	case OpSum:
		p := r.Steps.profile
		cs, err := r.fetch(op.Inputs, p, p.Floor(), he.LogGradient)
		if err != nil {
			return nil, err
		}
		if len(cs) == 0 {
			return nil, fmt.Errorf("a sum of nothing")
		}
		return []*he.Ciphertext{he.Add(cs...)}, nil
	case OpTotal:
		p := r.Values.profile
		cs, err := r.fetch(op.Inputs, p, p.MaxLevel(), 2*p.LogScale())
		if err != nil {
			return nil, err
		}
		if len(cs) == 0 {
			return nil, fmt.Errorf("a sum of nothing")
		}
		return []*he.Ciphertext{he.Add(cs...)}, nil
	case OpValue:
		p := r.Values.profile
		cs, err := r.fetch(op.Inputs, p, p.MaxLevel(), p.LogScale())
		if err != nil {
			return nil, err
		}
		if len(cs) != 2 {
			return nil, fmt.Errorf("a value of %d ciphertexts; it takes updates and directions", len(cs))
		}
		v, err := r.Values.Value(cs[0], cs[1])
		return []*he.Ciphertext{v}, err
	case OpGram, OpCross, OpSharpen, OpBoth, OpDirect:
		c, err := r.compare(op)
		return []*he.Ciphertext{c}, err
	default:
		return nil, fmt.Errorf("operation %d is not known here; is the record newer?", op.Kind)
	}
}

// compare does an operation of the near-copy test again. All operands are fresh
// outputs of maps.
func (r *Replayer) compare(op Op) (*he.Ciphertext, error) {
	if r.Copies == nil {
		return nil, fmt.Errorf("operation %d of a job that looks for no copies", op.Kind)
	}
	p := r.Copies.profile
	if op.Kind == OpBoth || op.Kind == OpDirect {
		p = r.Values.profile
	}
	cs, err := r.fetch(op.Inputs, p, p.MaxLevel(), p.LogScale())
	if err != nil {
		return nil, err
	}
	operands := map[OpKind]int{OpGram: len(cs) / 2 * 2, OpCross: 3, OpSharpen: 1, OpBoth: 2, OpDirect: max(1, len(cs))}
	if n := operands[op.Kind]; len(cs) != n {
		return nil, fmt.Errorf("operation %d of %d ciphertexts; it takes %d", op.Kind, len(cs), n)
	}
	switch op.Kind {
	case OpCross:
		return r.Copies.Cross(cs[0], cs[1], cs[2])
	case OpSharpen:
		return r.Copies.Sharpen(cs[0], op.Interval)
	case OpBoth:
		return r.Values.Both(cs[0], cs[1])
	case OpDirect:
		return he.Add(cs...), nil
	}
	var rows, columns []*he.Ciphertext
	for t := 0; t < len(cs); t += 2 {
		rows, columns = append(rows, cs[t]), append(columns, cs[t+1])
	}
	return r.Copies.Gram(rows, columns)
}

func (r *Replayer) gradient(op Op) ([]*he.Ciphertext, error) {
	p, vectors, blocks := r.Steps.profile, r.Steps.plan.Packing.Vectors(), 0
	for _, n := range op.Groups {
		if n < 0 || n > len(op.Inputs) {
			return nil, fmt.Errorf("a group of %d blocks", n)
		}
		blocks += n
	}
	if len(op.Inputs) != 1+blocks*vectors {
		return nil, fmt.Errorf("a gradient of %d inputs; weights and %d blocks of %d vectors are %d", len(op.Inputs), blocks, vectors, 1+blocks*vectors)
	}
	cs, err := r.fetch(op.Inputs, p, p.MaxLevel(), p.LogScale())
	if err != nil {
		return nil, err
	}
	groups, rest := make([][]Block, len(op.Groups)), cs[1:]
	for g, n := range op.Groups {
		for range n {
			groups[g], rest = append(groups[g], rest[:vectors:vectors]), rest[vectors:]
		}
	}
	return r.Steps.Gradient(cs[0], op.Interval, groups)
}

// fetch parses the inputs, which must be what their digests say.
func (r *Replayer) fetch(digests []he.Digest, p *he.Profile, level, logScale int) ([]*he.Ciphertext, error) {
	out := make([]*he.Ciphertext, len(digests))
	for i, d := range digests {
		if c := r.made[d]; c != nil && c.Profile.Digest() == p.Digest() && c.Level() == level && c.LogScale == logScale {
			out[i] = c
			continue
		}
		b, err := r.Blob(d)
		if err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
		if out[i], err = he.ParseCiphertext(b, p, level, logScale); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
		if got := out[i].Digest(); got != d {
			return nil, fmt.Errorf("input %d: the blob's digest is %x, not %x; fetch it from another node", i, got[:6], d[:6])
		}
	}
	return out, nil
}
