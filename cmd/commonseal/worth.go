package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/commonseal/commonseal/federation/local"
)

// writeCopies says whose rows are a near-copy of whose.
func writeCopies(w io.Writer, r *local.Report) {
	for _, p := range r.Copies {
		fmt.Fprintf(w, "Company %d's rows are a near-copy of company %d's: they count once, for company %d.\n", p.By, p.Of, p.Of)
	}
}

// writeNoise says what the noise on values is, and what it hides.
func writeNoise(w io.Writer, r *local.Report) {
	if r.Noise == nil {
		return
	}
	n := r.Noise
	fmt.Fprintf(w, "Values carry noise of deviation %.1g. In the worst case one row moves them by %.2g, so ε is %.1g at δ = %g;\nε = 1 takes a deviation of %.2g from each company.\n",
		n.Deviation, n.Sensitivity, n.Epsilon, n.Delta, n.DeviationForOne)
}

// writeAudit sets values beside what exact retraining gives.
func writeAudit(w io.Writer, r *local.Report) {
	a := r.Audit
	if a == nil {
		return
	}
	fmt.Fprintf(w, "\nAudit: the clear twin, trained on every coalition of the companies that count, %d models\n", a.Coalitions)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "company\tvalue, encrypted\tvalue, twin\toff by\tShapley, retrained\tand renormalised\t\n")
	for i, v := range r.Values {
		fmt.Fprintf(t, "%d\t%.6f\t%.6f\t%.1e\t%.5f\t%.5f\t\n", i+1, v, r.ValuesTwin[i], v-r.ValuesTwin[i], a.Retrained[i], a.Renormalised[i])
	}
	_ = t.Flush() // what it cannot write the report cannot either
	fmt.Fprintf(w, "Declared bound of the differences: %.1e. Rank correlation with retraining: %.2f; with coalitions that\ntake means over their own rows alone, so that a small company counts like a large one: %.2f.\n",
		r.ValuesBound, a.Spearman, a.SpearmanRenormalised)
}
