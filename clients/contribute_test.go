package clients_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/federation/agent"
	"github.com/commonseal/commonseal/federation/fedtest"
	"github.com/commonseal/commonseal/federation/table"
	"github.com/commonseal/commonseal/he/hetest"
	"github.com/commonseal/commonseal/ledger"
)

// A contribution counts when the rows for training and those for validation are
// both recorded, and not before.
func TestContribution(t *testing.T) {
	ctx := context.Background()
	w, err := fedtest.New(fedtest.Options{Profiles: hetest.Profiles(t), Mode: ledger.Quorum, Policy: func(company string) agent.Policy {
		return agent.Policy{Tasks: map[string]agent.TaskPolicy{"wide": {Validation: 0.2,
			Rows: func(s table.Schema) (table.Table, error) {
				return s.Read(strings.NewReader(wideRows(company)), company)
			},
		}}}
	}})
	if err == nil {
		err = w.Settle(ctx)
	}
	if err == nil {
		err = w.Record(ctx, "peer", &ledger.OpenTask{Name: "wide", Epoch: 1, Schema: wideSchema().Append(nil), Columns: features + 1, Nodes: []string{"north", "south"}, Quorum: 2})
	}
	if err != nil {
		t.Fatal(err)
	}
	task := ledger.TaskID(w.Genesis.Chain, "wide")
	both := func(v ledger.View) (training, validation bool) {
		_, training = ledger.ContributionOf(v, task, ledger.Training, "ann")
		_, validation = ledger.ContributionOf(v, task, ledger.Validation, "ann")
		return training, validation
	}
	if err := w.Until(ctx, 4000, func(v ledger.View) bool {
		c, ok := clients.Contribution(v, task, "ann")
		training, validation := both(v)
		if ok != (training && validation) || ok && c.Company != "ann" {
			t.Errorf("contributed: %v with training %v and validation %v recorded", ok, training, validation)
		}
		return ok
	}); err != nil {
		t.Fatal(err)
	}
}

// What the task does not allow is refused with its place, before anybody has it.
func TestReadRows(t *testing.T) {
	schema := table.Schema{Label: "y", Negative: 0, Positive: 1, Columns: []table.Column{{Name: "x", Min: 0, Max: 1}}}
	file := filepath.Join(t.TempDir(), "rows.csv")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("x,y\n0.5,1\n0.25,0\n")
	if rows, err := clients.ReadRows(schema, file, "y"); err != nil || rows.Len() != 2 {
		t.Errorf("%d rows, %v, want 2", rows.Len(), err)
	}
	if _, err := clients.ReadRows(schema, file, "x"); err == nil {
		t.Error("another label than the task's is accepted")
	}
	write("x,y\n0.5,1\n7,0\n")
	var cell *table.CellError
	if _, err := clients.ReadRows(schema, file, "y"); !errors.As(err, &cell) || cell.Row != 3 {
		t.Errorf("a value out of range: %v, want the cell of row 3", err)
	}
}
