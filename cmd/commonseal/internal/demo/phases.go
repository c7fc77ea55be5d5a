package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
)

// makeKeys waits for the ceremony, in which the companies' agents make the common
// key that nobody holds.
func (r *run) makeKeys(ctx context.Context) error {
	stages := 1
	return r.until(ctx, func(v ledger.View) bool {
		for _, y := range ledger.Ceremonies(v) {
			stages = len(y.Stages)
			r.progress("keys", min(int(y.Stage), stages-1), stages)
		}
		_, done := ledger.CurrentEpoch(v)
		if done {
			r.progress("keys", stages, stages)
		}
		return done
	})
}

// contribute opens the task, and lets all companies bring their rows at once.
// The querier makes its keys meanwhile, and is admitted as soon as a company has
// consented.
func (r *run) contribute(ctx context.Context) error {
	if _, err := r.command(ctx, "task", "--home", r.path(peer), "--name", task, "--data", r.rows.columns, "--label", r.rows.label,
		"--nodes", strings.Join(aggregators[:], ","), "--quorum", "2"); err != nil {
		return err
	}
	all := []func(context.Context) error{r.admit, r.watchContributions}
	for i := range r.Companies {
		all = append(all, func(ctx context.Context) error {
			args := []string{"contribute", "--home", r.path(company(i, r.Companies)), "--task", task, "--data", r.rows.companies[i], "--label", r.rows.label,
				"--validation", fmt.Sprint(validation), "--receipt", r.receipt(i)}
			if r.atHome(i) {
				args = append(args, "--local")
			}
			_, err := r.command(ctx, args...)
			return err
		})
	}
	return together(ctx, all...)
}

// atHome is whether company i keeps its rows at home.
func (r *run) atHome(i int) bool { return i >= r.Companies-r.Local }

func (r *run) receipt(i int) string { return r.path(company(i, r.Companies) + ".receipt") }

// watchContributions tells how many companies' rows are on the ledger.
func (r *run) watchContributions(ctx context.Context) error {
	return r.until(ctx, func(v ledger.View) bool {
		t, ok := ledger.TaskOf(v, ledger.TaskID(task, task))
		if !ok {
			return false
		}
		// Consents come first, then the task's keys, then rows.
		stages, done := 0, 2*r.Companies+1
		stages += len(t.Consents)
		if t.State == ledger.TaskReady {
			stages++
		}
		for i := range r.Companies {
			if _, ok := ledger.ContributionOf(v, t.ID, ledger.Training, company(i, r.Companies)); ok {
				stages++
			}
		}
		r.progress("contributions", stages, done)
		return stages == done
	})
}

// admit makes the querier's home and has the first company admit it, for as many
// answers as the test file has rows.
func (r *run) admit(ctx context.Context) error {
	if _, err := r.command(ctx, "querier", "--home", r.path(querier), "--name", querier, "--task", task, r.genesis(), r.path("founded/"+home.NetworkFile)); err != nil {
		return err
	}
	first := company(0, r.Companies)
	if err := r.until(ctx, func(v ledger.View) bool {
		t, ok := ledger.TaskOf(v, ledger.TaskID(task, task))
		return ok && slices.ContainsFunc(t.Consents, func(c ledger.Consented) bool { return c.Company == first })
	}); err != nil {
		return err
	}
	_, err := r.command(ctx, "admit", "--home", r.path(first), r.path(querier+"/querier.yaml"), "--quota", fmt.Sprint(2*r.rows.testRows))
	return err
}

// train opens a job and follows it.
func (r *run) train(ctx context.Context) error {
	r.progress("training", 0, r.Steps+2)
	return together(ctx, func(ctx context.Context) error {
		b, err := r.command(ctx, "train", "--home", r.path(peer), "--task", task, "--steps", fmt.Sprint(r.Steps), "--json")
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &r.report.Trained)
	}, func(ctx context.Context) error {
		return r.until(ctx, func(v ledger.View) bool {
			for _, j := range ledger.Jobs(v) {
				switch j.State {
				case ledger.JobAborted, ledger.JobDisputed:
					return true // the command says more
				case ledger.JobDone:
					m, ok := ledger.ModelOf(v, j.Model)
					if ok && m.Served() {
						r.progress("training", r.Steps+2, r.Steps+2)
						return true
					}
				}
				r.progress("training", min(int(j.Step), r.Steps+1), r.Steps+2)
			}
			return false
		})
	})
}

// ask asks about every test row, under the querier's own key.
func (r *run) ask(ctx context.Context) error {
	r.progress("answers", 0, r.rows.testRows)
	b, err := r.command(ctx, "predict", "--home", r.path(querier), "--data", r.rows.test, "--label", r.rows.label, "--json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &r.report.Answers); err != nil {
		return err
	}
	if len(r.report.Answers.Margins) != r.rows.testRows {
		return fmt.Errorf("%d answers to %d rows", len(r.report.Answers.Margins), r.rows.testRows)
	}
	r.progress("answers", r.rows.testRows, r.rows.testRows)
	return nil
}

// audit verifies a receipt, and shows that a receipt with one bit flipped is
// refused.
func (r *run) audit(ctx context.Context) error {
	verified, err := r.command(ctx, "audit", "receipt", r.receipt(0), "--genesis", r.genesis())
	if err != nil {
		return err
	}
	r.report.Receipt, _, _ = strings.Cut(strings.TrimPrefix(string(verified), "verified     "), "\n")
	b, err := os.ReadFile(r.receipt(0))
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	forged := r.path("forged.receipt")
	if err := os.WriteFile(forged, b, 0o600); err != nil {
		return err
	}
	_, err = r.command(ctx, "audit", "receipt", forged, "--genesis", r.genesis())
	var refused *refusedError
	switch {
	case err == nil:
		return errors.New("a receipt with one bit flipped verifies")
	case !errors.As(err, &refused):
		return err
	}
	_, r.report.Forged, _ = strings.Cut(refused.says, "does not verify: ")
	return nil
}

// bill waits until the nodes have recorded the answers, and reads who asked how
// much.
func (r *run) bill(ctx context.Context) error {
	if err := r.until(ctx, func(v ledger.View) bool {
		q, ok := ledger.QuerierOf(v, querier)
		return ok && q.Used >= uint64(r.report.Answers.Asked)
	}); err != nil {
		return err
	}
	b, err := r.command(ctx, "usage", "--home", r.path(peer), "--json")
	if err != nil {
		return err
	}
	var u struct {
		Queriers []Usage `json:"queriers"`
	}
	err = json.Unmarshal(b, &u)
	r.report.Usage = u.Queriers
	return err
}
