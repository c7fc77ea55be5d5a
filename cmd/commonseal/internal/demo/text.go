package demo

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Write writes the report for people: one screen.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s rows of %d columns, predicting %s. %d companies, %d aggregators of different\nowners, %d validators, a model peer and a querier, each with its own keys and folder: %d processes that ran, %d in all.\n\n",
		r.File, thousands(r.Rows), r.Columns, r.Label, r.Companies, len(aggregators), validators, validators+len(aggregators)+r.Companies, r.Processes)
	r.writeCompanies(&b)
	r.writeTogether(&b)
	r.writeSeen(&b)
	r.writeRewards(&b)
	r.writeCost(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCompanies is what each company brings and gains.
func (r *Report) writeCompanies(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "company\trows\ttraining rows\tAUC alone\ttogether\tgain\tvalue of its rows\t\n")
	for i, v := range r.Trained.Values {
		where := "encrypted"
		if v.Local {
			where = "at home"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.4f\t%.4f\t%+.4f\t%.5f\t\n", v.Company, where, thousands(v.Rows), r.SoloAUC[i], r.Answers.AUC, r.Answers.AUC-r.SoloAUC[i], v.Value)
	}
	_ = t.Flush() // into a strings.Builder
}

// writeTogether is what the common model is worth, and what the record says.
func (r *Report) writeTogether(b *strings.Builder) {
	fmt.Fprintf(b, "\nTogether, on %s test rows\n", thousands(r.TestRows))
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "  encrypted queries\tAUC %.4f\taccuracy %.4f, each answer under the querier's own key\n", r.Answers.AUC, r.Answers.Accuracy)
	fmt.Fprintf(t, "  cleartext twin\tAUC %.4f\tthe same polynomial; margins differ by up to %.1g, values by %.1g\n", r.AUCTwin, r.AnswerError, r.ValueError)
	fmt.Fprintf(t, "  exact plaintext\tAUC %.4f\tthe sigmoid itself, on everybody's rows in one place\n", r.AUCPlaintext)
	_ = t.Flush()
	b.WriteString("\nOn the ledger\n")
	t = tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	for _, u := range r.Usage {
		fmt.Fprintf(t, "  usage\t%s had %s of %s answers to task %s, admitted by %s\n", u.Querier, thousands(int(u.Used)), thousands(int(u.Quota)), u.Task, u.Sponsor)
	}
	fmt.Fprintf(t, "  receipt\tverified offline: %s\n", r.Receipt)
	fmt.Fprintf(t, "  one bit flipped\trefused: %s\n", r.Forged)
	_ = t.Flush()
}

// writeSeen is what each role could see. Sizes are those of its folder.
func (r *Report) writeSeen(b *strings.Builder) {
	b.WriteString("\nWhat each role could see\n")
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	row := func(role, size, has, never string) { fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", role, size, has, never) }
	row("role", "stored", "has", "never had")
	_, store, n := r.stock("company")
	row("company", perOne(store, n), "its rows, its key share; of others counts and digests", "another's rows or updates, the model")
	_, store, n = r.stock("aggregator")
	row("aggregator", perOne(store, n), "ciphertexts and masked shares", "a key, a row, the model, an answer")
	records, _, n := r.stock("validator")
	row("validator", perOne(records, n), fmt.Sprintf("%s transactions, %s: digests and counts", thousands(r.Transactions), kilobytes(r.LedgerBytes)), "a ciphertext")
	row("model peer", "nothing", "the model's name, the values of companies' rows", "the model, a row")
	row("querier", "keys", fmt.Sprintf("its %s rows and their answers", thousands(r.Answers.Rows)), "the model itself, a training row")
	row("network", "nothing", "who talks to whom, when, how much: mutual TLS 1.3", "a message")
	_ = t.Flush()
}

// stock is what those of a role have in all, and how many they are.
func (r *Report) stock(role string) (records, store int64, n int) {
	for _, s := range r.Stocks {
		if s.Role == role {
			records, store, n = records+s.Records, store+s.Store, n+1
		}
	}
	return records, store, n
}

// perOne is the mean size of n.
func perOne(sum int64, n int) string { return size(sum / int64(max(1, n))) }

// writeCost is what it took.
func (r *Report) writeCost(b *strings.Builder) {
	fmt.Fprintf(b, "\nCost, everybody on this machine\n")
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	var parts []string
	for _, p := range r.Phases {
		parts = append(parts, fmt.Sprintf("%s %.1f", p.Name, p.Seconds))
	}
	fmt.Fprintf(t, "  all\t%.1f s\t%s\n", r.SecondsTotal, strings.Join(parts, ", "))
	if steps := r.Trained.StepSeconds(); len(steps) > 0 {
		slices.Sort(steps)
		records := 0
		for _, s := range r.Trained.Steps {
			records = max(records, s.Records)
		}
		fmt.Fprintf(t, "  a step\t%.1f s\tmedian of %d, %.1f to %.1f s; at most %d transactions\n", steps[len(steps)/2], r.Steps, steps[0], steps[len(steps)-1], records)
	}
	fmt.Fprintf(t, "  answers\t%.1f s\t%s of them, to distinct rows, from %d servers\n", r.Answers.Seconds, thousands(r.Answers.Asked), r.Companies)
	fmt.Fprintf(t, "  ledger\t%s blocks\t%s transactions\n", thousands(int(r.Blocks)), thousands(r.Transactions))
	if r.PeakPSS > 0 {
		fmt.Fprintf(t, "  memory\t%s\tat most, all processes: sum of proportional set sizes\n", size(r.PeakPSS))
	}
	_ = t.Flush()
}

// Try writes what can be done while a demonstration is kept.
func (r *Report) Try(w io.Writer, program string) error {
	_, err := fmt.Fprintf(w, `
It goes on until Ctrl-C; the folder %[2]s stays. In another terminal:

  cd %[2]s
  alias commonseal=%[1]s
  commonseal status --home north
  commonseal predict --home shop --data test.csv --label %[3]s | tail -3
  commonseal usage --home peer
  commonseal train --home peer --task demo --steps 3
  commonseal audit receipt %[4]s.receipt --genesis founded/genesis.json
  tail -f logs/%[4]s.log
`, program, r.Folder, r.Label, company(0, r.Companies))
	if err == nil && r.Rewards != nil {
		_, err = fmt.Fprintf(w, `  commonseal reward explain %[1]s --epoch %[2]d --home %[1]s
  commonseal audit payouts --home %[1]s --export epochs
`, company(0, r.Companies), r.Rewards.Epoch)
	}
	return err
}

// thousands writes n with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func kilobytes(n int64) string { return fmt.Sprintf("%.0f kB", float64(n)/1e3) }

// size writes bytes in the unit that suits them.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return kilobytes(n)
}
