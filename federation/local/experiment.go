package local

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/commonseal/commonseal/he"
	"gonum.org/v1/gonum/floats"
)

// A CopyRows says that one company's rows are a near-copy of another's; both are
// counted from 1.
type CopyRows struct {
	Of int `json:"of"`
	By int `json:"by"`
}

// experiment spoils companies' training rows as the options ask: labels are
// shuffled first, then rows are copied. Validation rows stay as they are: they
// are fixed before anybody contributes.
func (f *federation) experiment(o Options) error {
	for _, i := range o.Shuffle {
		if i < 1 || i > len(f.companies) {
			return fmt.Errorf("shuffle the labels of company %d: there are companies 1 to %d", i, len(f.companies))
		}
		c := f.companies[i-1]
		c.training = shuffled(c.training, rand.New(rand.NewPCG(o.Seed, uint64(i))))
	}
	for _, p := range o.Copy {
		if p.Of < 1 || p.By < 1 || max(p.Of, p.By) > len(f.companies) || p.Of == p.By {
			return fmt.Errorf("company %d copies company %d: give two different ones of 1 to %d", p.By, p.Of, len(f.companies))
		}
		f.companies[p.By-1].training = f.companies[p.Of-1].training
	}
	return nil
}

// shuffled deals the labels of signed rows, which their constants are, out anew.
func shuffled(z he.Rows, draw *rand.Rand) he.Rows {
	out := he.Rows{Columns: z.Columns, Values: slices.Clone(z.Values)}
	for i, k := range draw.Perm(z.Len()) {
		floats.Scale(z.Row(i)[0]*z.Row(k)[0], out.Row(i))
	}
	return out
}

// trainingRows is how many rows each company trains with, and all do.
func (f *federation) trainingRows() (rows []int, total int) {
	for _, c := range f.companies {
		rows = append(rows, c.training.Len())
		total += c.training.Len()
	}
	return rows, total
}

// validationRows is how many rows each company values by.
func (f *federation) validationRows() (rows []int) {
	for _, c := range f.companies {
		rows = append(rows, c.validation.Len())
	}
	return rows
}
