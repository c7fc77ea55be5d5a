package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// newQuerier makes the home of somebody who asks.
func newQuerier() *cobra.Command {
	var dir, name, task string
	c := &cobra.Command{
		Use:   "querier --home DIR --name NAME --task TASK genesis.json network.yaml",
		Short: "Make the keys of somebody who asks models",
		Long: `Makes keys in DIR and DIR/querier.yaml, which is public: send it to a company
of the task, which admits you to it. Queries are encrypted under a key of your own:
nobody else can read them, nor the answers.`,
		Example: `  commonseal querier --home shop --name shop --task churn genesis.json network.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &usageError{fmt.Sprintf("give genesis.json and network.yaml; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home", "name", "task"); err != nil {
				return err
			}
			q, err := home.NewQuerier(dir, name, task, args[0], args[1], func(g ledger.Genesis, seed [32]byte) ledger.Digest {
				return clients.QuerierKey(g.Chain, name, ledger.TaskID(g.Chain, task), he.Seed(seed), he.Standard().Serve)
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "keys    %s: private, they stay here\nquerier %s/querier.yaml: public; send it to a company of task %s, which runs\nnext    commonseal admit --home COMPANY querier.yaml --quota 10000\n",
				home.KeysDir(q.Dir), q.Dir, task)
			return err
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "folder of the querier; made if need be")
	f.StringVar(&name, "name", "", "of the querier: a-z, 0-9 and inner hyphens")
	f.StringVar(&task, "task", "", "task whose models it asks")
	return c
}

// newAdmit admits a querier.
func newAdmit() *cobra.Command {
	var dir string
	var quota uint64
	c := &cobra.Command{
		Use:     "admit --home DIR querier.yaml --quota ANSWERS",
		Short:   "Admit a querier to a task of this company",
		Long:    "Admits a querier to ask the models of a task so many rows in all. An answer tells\nabout one weight's worth of the model: a quota of as many answers as the task has\ncolumns gives a linear model away.",
		Example: `  commonseal admit --home ann querier.yaml --quota 10000`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one querier.yaml; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home", "quota"); err != nil {
				return err
			}
			f, err := home.ReadQuerierFile(args[0])
			if err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, h *home.Home, client *clients.Client) error {
				t, err := client.Task(f.Task)
				if err != nil {
					return err
				}
				if _, err := client.Record(ctx, &ledger.AdmitQuerier{Name: f.Name, Signing: ledger.Key(f.Signing), TLS: ledger.Key(f.TLS), Task: t.ID,
					PublicKey: ledger.Digest(f.PublicKey), Quota: quota}); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "admitted %s to task %s, %d answers\n", f.Name, f.Task, quota)
				return err
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of a company of the task")
	f.Uint64Var(&quota, "quota", 0, "answers that the querier may have, one a row")
	return c
}

// newPredict asks.
func newPredict() *cobra.Command {
	var dir, model, data, label string
	var asJSON bool
	c := &cobra.Command{
		Use:   "predict --home DIR --data FILE.csv",
		Short: "Ask a model about rows, under the asker's own key",
		Long: `Encrypts rows under the querier's own key, asks the models of its task that earn
most, blended, or the one that --model names, and decrypts the answers: a margin and
a probability for each row. Where models are not ranked yet the newest answers. With
a label column that is in the file it says how good they are.`,
		Example: `  commonseal predict --home shop --data rows.csv
  commonseal predict --home shop --data test.csv --label churned --json | jq .auc`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "data"); err != nil {
				return err
			}
			q, err := home.OpenQuerier(dir)
			if err != nil {
				return err
			}
			client, err := clients.Open(clients.Config{Genesis: q.Genesis.Genesis, Doors: doorsOf(q.Doors), TLS: q.Keys.TLS.Ed25519(), Signing: q.Keys.Signing.Ed25519()})
			if err != nil {
				return err
			}
			return following(c.Context(), client, func(ctx context.Context) error {
				out, err := predict(ctx, q, client, model, data, label)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(c.OutOrStdout()).Encode(out)
				}
				return out.write(c.OutOrStdout())
			})
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "home of the querier")
	f.StringVar(&data, "data", "", "rows to ask about: CSV with the task's columns")
	f.StringVar(&label, "label", "", "column of the file that has the truth, to compare with")
	f.StringVar(&model, "model", "", "id of a model (default the blend of the best, or else the newest)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// A prediction is what was asked and what came back.
type prediction struct {
	Model    string    `json:"model"`           // or blend
	Parts    []part    `json:"parts,omitempty"` // of a blend
	Rows     int       `json:"rows"`
	Asked    int       `json:"asked"` // distinct rows: equal ones are asked once
	Seconds  float64   `json:"seconds"`
	AUC      *float64  `json:"auc,omitempty"`
	Accuracy *float64  `json:"accuracy,omitempty"`
	Margins  []float64 `json:"margins"`
}

// A part is one model of a blend.
type part struct {
	Model string `json:"model"`
	Of256 uint16 `json:"of_256"`
}

func predict(ctx context.Context, q *home.Querier, client *clients.Client, model, data, label string) (*prediction, error) {
	task := ledger.TaskID(q.Genesis.Chain, q.File.Task)
	of, parts, err := answering(client.View(), task, model)
	if err != nil {
		return nil, err
	}
	t, _ := ledger.TaskOf(client.View(), task)
	schema, err := table.ParseSchema(t.Schema)
	if err != nil {
		return nil, err
	}
	rows, err := readQuestions(schema, data, label)
	if err != nil {
		return nil, err
	}
	seed, err := home.Seed(q.Dir)
	if err != nil {
		return nil, err
	}
	querier := clients.NewQuerier(client, q.File.Name, he.Seed(seed), task, he.Standard().Serve, uint64(time.Now().UnixMicro()))
	if err := querier.Announce(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	asked, which, margins, err := ask(ctx, querier, client.View(), of, rows.features)
	if now, next, changed := answering(client.View(), task, model); err != nil && changed == nil && now != of { // a blend was replaced meanwhile
		of, parts = now, next
		asked, which, margins, err = ask(ctx, querier, client.View(), of, rows.features)
	}
	if err != nil {
		return nil, err
	}
	out := &prediction{Model: fmt.Sprintf("%x", of), Parts: parts, Rows: len(which), Asked: asked.Len(), Seconds: time.Since(start).Seconds()}
	for _, k := range which {
		out.Margins = append(out.Margins, margins[k])
	}
	if rows.labels != nil {
		auc, accuracy := table.AUC(out.Margins, rows.labels), table.Accuracy(out.Margins, rows.labels)
		out.AUC, out.Accuracy = &auc, &accuracy
	}
	return out, nil
}

// ask asks a model or blend about rows. What it does not weigh need not leave, and
// rows that differ in it alone are one answer.
func ask(ctx context.Context, q *clients.Querier, v ledger.View, of ledger.Digest, rows he.Rows) (asked he.Rows, which []int, margins []float64, err error) {
	a, r := ledger.AskedOf(v, of)
	if r.Code != ledger.OK {
		return asked, nil, nil, errors.New(r.Detail)
	}
	asked, which = rows.Only(a.Trains(v)).Distinct()
	margins, err = q.Predict(ctx, of, asked)
	return asked, which, margins, err
}

// answering is what is asked of a task: the model of an id, or, without one, the
// blend if there is one that answers, else the newest model.
func answering(v ledger.View, task ledger.Digest, id string) (of ledger.Digest, parts []part, err error) {
	if b, ok := ledger.BlendOf(v, task); ok && id == "" {
		if _, r := ledger.AskedOf(v, b.Digest()); r.Code == ledger.OK {
			for _, p := range b.Parts {
				parts = append(parts, part{fmt.Sprintf("%x", p.Model), p.Part})
			}
			return b.Digest(), parts, nil
		}
	}
	m, err := modelOf(v, task, id)
	if err != nil {
		return of, nil, err
	}
	return m.ID, nil, nil
}

// modelOf finds a model of a task: by id, or the newest that is served.
func modelOf(v ledger.View, task ledger.Digest, id string) (*ledger.Model, error) {
	var found *ledger.Model
	newest := int64(-1)
	for _, m := range ledger.Models(v) {
		if m.Task != task || !m.Served() || id != "" && hex.EncodeToString(m.ID[:]) != id {
			continue
		}
		j, _ := ledger.JobOf(v, m.Job)
		if j.Deadline > newest {
			found, newest = &m, j.Deadline
		}
	}
	if found == nil {
		return nil, fmt.Errorf("there is no such model, or not all companies serve it yet; commonseal train makes one")
	}
	return found, nil
}

// write is the answers for people: one line a row, and how good they are.
func (p *prediction) write(w io.Writer) error {
	for _, m := range p.Margins {
		if _, err := fmt.Fprintf(w, "%.6f\t%.6f\n", m, 1/(1+math.Exp(-m))); err != nil {
			return err
		}
	}
	if p.AUC != nil {
		_, err := fmt.Fprintf(w, "AUC %.4f  accuracy %.4f  %d rows\n", *p.AUC, *p.Accuracy, p.Rows)
		return err
	}
	return nil
}

// questions are rows (1, x) to ask about, and their labels ±1 if they are known.
type questions struct {
	features he.Rows
	labels   []float64
}

// readQuestions reads rows in a task's columns. Without a label the file need
// not have the column.
func readQuestions(schema table.Schema, data, label string) (questions, error) {
	var t table.Table
	var err error
	if label == "" {
		t, err = readUnlabelled(schema, data)
	} else {
		t, err = clients.ReadRows(schema, data, label)
	}
	if err != nil {
		return questions{}, err
	}
	out := questions{features: he.Rows{Columns: t.Columns() + 1}}
	for i := range t.Len() {
		out.features.Values = t.AppendRow(out.features.Values, i)
	}
	if label != "" {
		out.labels = t.Labels()
	}
	return out, nil
}

// readUnlabelled reads rows whose label nobody knows.
func readUnlabelled(schema table.Schema, data string) (table.Table, error) {
	f, err := os.Open(data)
	if err != nil {
		return table.Table{}, err
	}
	defer f.Close() // read only: nothing to lose
	return schema.ReadQuestions(f, data)
}

// newUsage tells who used what.
func newUsage() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:     "usage --home DIR",
		Short:   "Print who asked how much, as the ledger has it",
		Example: `  commonseal usage --home ann`,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(_ context.Context, _ *home.Home, client *clients.Client) error {
				return writeUsage(c.OutOrStdout(), client.View(), asJSON)
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&dir, "home", "", "home of a member")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// A usage is one querier's.
type usage struct {
	Querier string `json:"querier"`
	Task    string `json:"task"`
	Sponsor string `json:"sponsor"`
	Used    uint64 `json:"used"`
	Quota   uint64 `json:"quota"`
}

func writeUsage(w io.Writer, v ledger.View, asJSON bool) error {
	all := []usage{}
	for _, q := range ledger.Queriers(v) {
		t, _ := ledger.TaskOf(v, q.Task)
		all = append(all, usage{q.Name, t.Name, q.Sponsor, q.Used, q.Quota})
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"queriers": all})
	}
	for _, u := range all {
		if _, err := fmt.Fprintf(w, "%s  task %s  %d of %d answers  admitted by %s\n", u.Querier, u.Task, u.Used, u.Quota, u.Sponsor); err != nil {
			return err
		}
	}
	return nil
}
