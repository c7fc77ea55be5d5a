package incentive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
)

// A Result is what became of one vector: Problem is empty if it passed.
type Result struct{ ID, Problem string }

// A vector is one entry of a file. What is expected is checked entry by entry;
// an expectation that is not understood is a failure.
type vector struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	Tolerance number          `json:"tolerance"`
	Input     json.RawMessage `json:"input"`
	Expect    json.RawMessage `json:"expect"`
}

// CheckVectors reads a file {"vectors": [{"id", "kind", "tolerance", "input",
// "expect"}, …]} and checks each by the code that the ledger uses, in order.
// Kinds declared in IEEE double have a twin in high precision (double.go). A
// tolerance below 1 is a difference, one of 1 or more counts units of the last
// place; without one the match is exact. It is an error if the file as a whole
// cannot be read; a vector that cannot has a problem.
func CheckVectors(r io.Reader) ([]Result, error) {
	var text json.RawMessage
	decoder := json.NewDecoder(r)
	if err := decoder.Decode(&text); err != nil {
		return nil, fmt.Errorf("not a file of vectors: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a file of vectors: something follows its end")
	}
	var file struct {
		Vectors []json.RawMessage `json:"vectors"`
	}
	if err := json.Unmarshal(text, &file); err != nil || file.Vectors == nil {
		return nil, errors.New(`not a file of vectors: it has no list "vectors"`)
	}
	out := make([]Result, len(file.Vectors))
	for i, raw := range file.Vectors {
		out[i] = checkOne(i, raw)
	}
	return out, nil
}

func checkOne(i int, raw json.RawMessage) Result {
	var v vector
	err := json.Unmarshal(raw, &v)
	result := Result{ID: v.ID}
	if v.ID == "" {
		result.ID = "#" + strconv.Itoa(i)
	}
	if err == nil {
		err = v.check()
	} else {
		err = errors.New("not a vector: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	if err != nil {
		result.Problem = err.Error()
	}
	return result
}

func (v vector) check() error {
	switch v.Kind {
	case "weighted_median":
		return v.weightedMedian()
	case "weighted_median_col":
		return v.weightedMedianColumns()
	case "col_clip":
		return v.columnClip()
	case "sigmoid":
		return v.sigmoid()
	case "ema_alpha":
		return v.emaAlpha()
	case "epoch_v1":
		return v.epochV1()
	case "epochs":
		return v.epochs()
	case "emission_split":
		return v.emissionSplit()
	case "prune":
		return v.prune()
	case "whitepaper":
		return v.whitepaper()
	case "stake_race":
		return v.stakeRace()
	case "two_team":
		return v.twoTeam()
	case "gram_shapley":
		return v.gramShapley()
	case "split":
		return v.splitIdentity()
	case "duplicate":
		return v.duplicate()
	case "largest_remainder":
		return v.largestRemainder()
	case "general_shapley":
		return v.generalShapley()
	}
	return fmt.Errorf("unknown kind %q", v.Kind)
}

// read decodes the input.
func (v vector) read(into any) error {
	if len(v.Input) == 0 || string(v.Input) == "null" {
		return errors.New("it has no input")
	}
	if err := json.Unmarshal(v.Input, into); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	return nil
}

// expected decodes the expectations by name. There is at least one.
func (v vector) expected() (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	if err := json.Unmarshal(v.Expect, &out); err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("it expects nothing")
	}
	return out, nil
}

// A number is exact, whatever its notation: 3, 0.51, 1e-9, "1/6", or "min" and
// "max" of Q32.32.
type number struct{ rat *big.Rat }

func (n *number) UnmarshalJSON(text []byte) error {
	s := string(text)
	if s == "null" {
		return nil
	}
	if s[0] == '"' {
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
	}
	switch s {
	case "":
		return nil
	case "min":
		n.rat = MinFixed.rat()
		return nil
	case "max":
		n.rat = MaxFixed.rat()
		return nil
	}
	rat, err := parseNumber(s)
	n.rat = rat
	return err
}

// parseNumber refuses exponents that would make a short text a huge number.
func parseNumber(s string) (*big.Rat, error) {
	const most = 400
	for i, c := range s {
		if c != 'e' && c != 'E' && c != 'p' && c != 'P' {
			continue
		}
		if exponent, err := strconv.Atoi(s[i+1:]); err != nil || exponent > most || exponent < -most {
			return nil, fmt.Errorf("%.40q is not a number with an exponent within ±%d", s, most)
		}
	}
	rat, ok := new(big.Rat).SetString(s)
	if !ok || len(s) > 4*most {
		return nil, fmt.Errorf("%.40q is not a number", s)
	}
	return rat, nil
}

// or is the number, or another if it is missing.
func (n number) or(other int64) *big.Rat {
	if n.rat == nil {
		return new(big.Rat).SetInt64(other)
	}
	return n.rat
}

// integer is the number as an integer; name is for the error.
func (n number) integer(name string) (*big.Int, error) {
	if n.rat == nil || !n.rat.IsInt() {
		return nil, fmt.Errorf("%s is not an integer", name)
	}
	return new(big.Int).Set(n.rat.Num()), nil
}

// rat is the exact value of a.
func (a Fixed) rat() *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(int64(a)), big.NewInt(int64(One)))
}

// nearest is the Fixed nearest to x, even on a tie, as a conversion from a
// float is.
func nearest(x *big.Rat) Fixed {
	scaled := new(big.Int).Mul(x.Num(), big.NewInt(2*int64(One)))
	twice := new(big.Int).Div(scaled, x.Denom()) // rounded down
	exact := new(big.Int).Mul(twice, x.Denom()).Cmp(scaled) == 0
	q, odd := new(big.Int).Rsh(twice, 1), twice.Bit(0) == 1
	if odd && (!exact || q.Bit(0) == 1) {
		q.Add(q, big.NewInt(1))
	}
	switch {
	case q.IsInt64():
		return Fixed(q.Int64())
	case q.Sign() > 0:
		return MaxFixed
	}
	return MinFixed
}

// single is what x is after a 32-bit float, which many inputs were upstream.
func single(x *big.Rat) Fixed {
	f, _ := new(big.Float).SetPrec(24).SetMode(big.ToNearestEven).SetRat(x).Rat(nil)
	return nearest(f)
}

func each[T any](in []number, convert func(*big.Rat) T) []T {
	out := make([]T, len(in))
	for i, n := range in {
		out[i] = convert(n.or(0))
	}
	return out
}

func eachRow(in [][]number, convert func(*big.Rat) Fixed) [][]Fixed {
	out := make([][]Fixed, len(in))
	for i, row := range in {
		out[i] = each(row, convert)
	}
	return out
}
