package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/commonseal/commonseal/federation/local"
	"github.com/commonseal/commonseal/federation/table"
)

// runFederation is a simulateFunc: the federation itself.
func runFederation(ctx context.Context, data *table.Table, s simulation, p *progress) (report, error) {
	r, err := local.Run(ctx, *data, local.Options{
		Companies: s.companies, Local: s.local, Steps: s.steps, LearningRate: s.learningRate, Decay: s.decay, Columns: s.columns, Test: s.test, Seed: s.seed,
		Audit: s.audit, LogNoise: s.noise, KeepCopies: s.keepCopies, Shuffle: s.shuffle, Copy: s.copies,
		Warn: func(text string) { p.note("warning: " + text) },
	}, p.stage)
	if err != nil {
		return nil, err
	}
	return func(w io.Writer, asJSON bool) error {
		if asJSON {
			return json.NewEncoder(w).Encode(r)
		}
		_, err := io.WriteString(w, reportText(s, r))
		return err
	}, nil
}

// reportText is the report for people.
func reportText(s simulation, r *local.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s rows of %d columns, predicting %s\n", filepath.Base(s.data), thousands(r.Rows), r.Columns, s.label)
	fmt.Fprintf(&b, "%s rows train, %s value contributions, %s are asked about. One process plays every role\nand holds every key, which no deployment may.\n\n",
		thousands(r.TrainRows), thousands(r.Validation), thousands(r.TestRows))
	writeCompanies(&b, r)
	writeCopies(&b, r)
	writeNoise(&b, r)
	writeAudit(&b, r)
	fmt.Fprintf(&b, "\nTogether, on the test rows, each asked under the querier's own key\n")
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "  encrypted\tAUC %.4f\taccuracy %.4f\n", r.AUCEncrypted, r.AccuracyEncrypted)
	fmt.Fprintf(table, "  cleartext twin\tAUC %.4f\tthe same polynomial and steps\n", r.AUCTwin)
	fmt.Fprintf(table, "  exact plaintext\tAUC %.4f\tthe sigmoid itself\n", r.AUCPlaintext)
	_ = table.Flush() // into a strings.Builder
	fmt.Fprintf(&b, "  largest error: a weight %.1g, an answer %.1g, a value %.1g\n", r.MaxWeightError, r.AnswerError, r.ReleaseError)

	fmt.Fprintf(&b, "\nCost, all roles on this machine\n")
	table = tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "  keys\t%.1f s\t%s uploaded by all companies\n", r.SecondsCeremony, megabytes(r.BytesKeys))
	fmt.Fprintf(table, "  encrypting\t%.1f s\t%s with updates and shares\n", r.SecondsEncrypt, megabytes(r.BytesUploaded))
	fmt.Fprintf(table, "  a step\t%.2f s\t%d steps, learning rate %.3g, decay %.3g, %d columns\n", r.SecondsPerStep, r.Steps, r.LearningRate, r.Decay, r.Trained)
	fmt.Fprintf(table, "  valuing\t%.1f s\tadded to %d steps, and the release\n", r.SecondsValuation, r.ValuedSteps)
	if r.SecondsCopies > 0 {
		fmt.Fprintf(table, "  comparing\t%.1f s\t%d pairs of companies\n", r.SecondsCopies, r.Companies*(r.Companies-1)/2)
	}
	fmt.Fprintf(table, "  answers\t%.0f ms\t%s of them, to distinct rows, from %d servers\n", 1000*r.SecondsAnswers, thousands(r.Questions), r.Companies)
	fmt.Fprintf(table, "  all\t%.1f s\t%s resident at most\n", r.SecondsTotal, megabytes(r.PeakRSS))
	_ = table.Flush()
	fmt.Fprintf(&b, "  packing: %s\n", r.Plan)
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "\nwarning: %s\n", w)
	}
	return b.String()
}

// writeCompanies is what each company brings and gains.
func writeCompanies(b *strings.Builder, r *local.Report) {
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "company\twhere\ttraining rows\tAUC alone\ttogether\tgain\tvalue of its rows\tshare of a pot\t\n")
	for i := range r.CompanyRows {
		where := "encrypted"
		if i >= r.Companies-r.Local {
			where = "at home"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%.4f\t%.4f\t%+.4f\t%.5f\t%d/128\t\n", i+1, where, thousands(r.CompanyRows[i]),
			r.SoloAUC[i], r.AUCEncrypted, r.AUCEncrypted-r.SoloAUC[i], r.Values[i], r.Shares[i])
	}
	_ = t.Flush() // into a strings.Builder
	by := "all validation rows together"
	if len(r.ValuesApart) > 1 {
		by = "each other company's validation rows, of which the median counts"
	}
	fmt.Fprintf(b, "A value is the loss its rows take off at %d steps by %s,\nopened from its encryption; the twin's differ by up to %.1g. A company may do better alone on rows like its own; these are\neverybody's.\n",
		r.ValuedSteps, by, valueGap(r))
}

// valueGap is the largest difference between encrypted and twin's values.
func valueGap(r *local.Report) (gap float64) {
	for i, v := range r.Values {
		gap = max(gap, v-r.ValuesTwin[i], r.ValuesTwin[i]-v)
	}
	return gap
}

// thousands writes n with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
